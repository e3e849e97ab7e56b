const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
	open: "M9 5h6v6M15 5l-8 8M12 12v3H5V8h3",
	dismiss: "M6 6l8 8M14 6l-8 8",
	read: "M5 10.5l3.5 3.5L15 7",
	delete: "M5 7h10M8 7V5h4v2M6.5 7l.5 8h6l.5-8",
};

/** Makes an element; of the attributes to set `on…` listens, and `text` is its text. */
export function h(tag, set = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(set)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "text") element.textContent = value;
		else if (value === true) element.setAttribute(name, "");
		else if (value !== false && value != null) element.setAttribute(name, value);
	}
	element.append(...children);
	return element;
}

export const byId = (id) => document.getElementById(id);

/** A line drawing of 20 by 20, hidden from readers. */
export function icon(name) {
	const svg = document.createElementNS(SVG, "svg");
	svg.setAttribute("viewBox", "0 0 20 20");
	svg.setAttribute("aria-hidden", "true");
	const path = document.createElementNS(SVG, "path");
	path.setAttribute("d", PATHS[name]);
	svg.append(path);
	return svg;
}

/** Sets a text only if it is another one, so that a reader is not told twice. */
export function say(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

/** A time of day to the millisecond, as the reader writes it. */
export const timeOf = (when) => clock.format(new Date(when));

/** The same where room is short: in two halves, without morning or afternoon. */
export function halvesOf(when) {
	const parts = clock.formatToParts(new Date(when)).filter(({ type }) => type !== "dayPeriod");
	const at = parts.findIndex(({ type }) => type === "second");
	return [parts.slice(0, at), parts.slice(at)].map((half) => half.map(({ value }) => value).join("").trim());
}

/** Makes a list hold these items (by `id`); an element stays while its item does, and so does the focus. */
export function reconcile(list, items, make, update) {
	const old = new Map([...list.children].map((element) => [element.dataset.id, element]));
	const focused = [...list.children].findIndex((element) => element.contains(document.activeElement));
	const wanted = items.map((item) => {
		const element = old.get(item.id) ?? make(item);
		element.dataset.id = item.id;
		old.delete(item.id);
		update(element, item);
		return element;
	});
	const lost = focused >= 0 && !wanted.includes(list.children[focused]);
	for (const element of old.values()) element.remove();
	wanted.forEach((element, at) => {
		if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
	});
	if (lost) (list.children[Math.min(focused, wanted.length - 1)]?.querySelector("button:enabled") ?? list.parentElement.querySelector("h3"))?.focus();
}
