import { Away, moveSwitch } from "./api.js";
import { isOpen, nameOf, stageOf } from "./device.js";
import { h, icon, reconcile, say } from "./dom.js";

const KINDS = {
	apns: { look: "iphone", firm: "Apple", switches: [["Offline", "online", true], ["Low power", "lowPower"]] },
	fcm: { look: "android", firm: "Google", switches: [["Offline", "online", true], ["Doze", "doze"]] },
	wns: { look: "pc", firm: "Microsoft", switches: [["Offline", "online", true]] },
	webPush: { look: "browser", firm: "Mozilla", switches: [["Offline", "online", true], ["Tab closed", "tabClosed"]] },
};
const ACTS = { open: "Open", dismiss: "Dismiss", read: "Mark read", delete: "Delete" };
const SWIPE = 72;

export const COLUMNS = [["iPhone", "apns"], ["Android", "fcm"], ["Windows PC", "wns"], ["Browser", "webPush"]];

export class Column {
	#device = null;

	constructor(name, service) {
		this.kind = KINDS[service];
		const root = document.getElementById("device").content.cloneNode(true).firstElementChild;
		const find = (selector) => root.querySelector(selector);
		const id = this.kind.look;
		root.classList.add(id);
		label(root, find("h2"), `${id}-name`, name);
		this.root = root;
		this.state = find(".state");
		this.waits = find(".waits");
		this.shade = this.#list(find(".shade"), "Shade", id);
		this.inbox = this.#list(find(".inbox"), "Inbox", id);
		label(find("figure"), find("figcaption"), `${id}-saw`, `What ${this.kind.firm} saw`);
		this.saw = find(".saw");
		this.launch = find(".launch");
		this.launch.addEventListener("click", () => this.#device.wake());
		this.#switches(find(".switches"));
	}

	#list(part, name, id) {
		const list = part.querySelector("ul");
		label(list, part.querySelector("h3"), `${id}-${name}`, name);
		return list;
	}

	#switches(place) {
		this.inputs = this.kind.switches.map(([label, key, inverted]) => {
			const input = h("input", { type: "checkbox", role: "switch", disabled: true, onchange: () => this.#move(key, input, inverted) });
			place.append(h("label", { class: "switch" }, input, h("span", { text: label })));
			return { input, key, inverted };
		});
	}

	async #move(key, input, inverted) {
		try {
			this.#device.moved(await moveSwitch(this.#device.twin.id, { [key]: input.checked !== Boolean(inverted) }));
		} catch (error) {
			this.#draw();
			if (!(error instanceof Away)) say(this.waits, error.message);
		}
	}

	show(device) {
		this.#device = device;
		device.addEventListener("change", () => this.#draw());
		device.addEventListener("failed", ({ detail }) => say(this.waits, detail.message));
		this.#draw();
	}

	#draw() {
		const device = this.#device;
		const { twin } = device;
		for (const { input, key, inverted } of this.inputs) {
			input.disabled = false;
			input.checked = Boolean(twin[key]) !== Boolean(inverted);
		}
		this.launch.disabled = !twin.online;
		this.root.classList.toggle("is-off", !twin.online);
		this.root.classList.toggle("is-low", twin.lowPower);
		this.root.classList.toggle("is-closed", twin.tabClosed);
		say(this.state, stateOf(twin));
		say(this.waits, this.#waiting());
		reconcile(this.shade, device.shade, () => this.#card(), (element, item) => this.#fill(element, item));
		reconcile(this.inbox, device.inbox, () => this.#row(), (element, item) => this.#fill(element, item));
	}

	#waiting() {
		const { twin, queue } = this.#device;
		const parts = [];
		if (twin.waiting) parts.push(`${twin.waiting} waiting at ${this.kind.firm}`);
		if (queue.length && !twin.online) parts.push(`${queue.length} to tell the hub`);
		return parts.join(" · ");
	}

	#button(kind, asIcon) {
		const button = h("button", { type: "button", class: asIcon ? "icon" : "word", "data-act": kind },
			h("span", { class: asIcon ? "sr" : "", text: ACTS[kind] }), h("span", { class: "sr of" }));
		if (asIcon) {
			button.append(icon(kind));
			button.title = ACTS[kind];
		}
		button.addEventListener("click", () => this.#act(button, kind));
		return button;
	}

	#act(element, kind) {
		this.#device.act(element.closest("[data-id]").dataset.id, kind);
	}

	#card() {
		const words = h("div", { class: "words", onclick: () => this.#act(card, "open") }, h("strong"), h("span", { class: "text" }), h("small", { class: "tag" }));
		const acts = h("div", { class: "acts" }, this.#button("open"), this.#button("read"), this.#button("delete"));
		const card = h("li", { class: "card" }, words, this.#button("dismiss", true), acts);
		swipeable(card, () => this.#act(card, "dismiss"));
		return card;
	}

	#row() {
		const words = h("div", { class: "words" }, h("strong"), h("small", { class: "tag" }));
		const acts = h("div", { class: "acts" }, ...Object.keys(ACTS).map((kind) => this.#button(kind, true)));
		return h("li", { class: "row" }, words, acts);
	}

	#fill(element, item) {
		const name = nameOf(item);
		const set = (selector, text) => element.querySelectorAll(selector).forEach((part) => say(part, text));
		set("strong", name);
		set(".text", item.payload?.visualContent?.body ?? "");
		set(".of", ` ${name}`);
		set(".tag", element.classList.contains("row") ? stageOf(item) : this.#tag(item));
		element.classList.toggle("unread", isOpen(item));
		element.classList.toggle("is-raw", !item.payload?.visualContent);
		for (const button of element.querySelectorAll("button")) button.disabled = isDone(item, button.dataset.act);
	}

	#tag(item) {
		if (item.placeholder) return "not fetched yet";
		if (this.#device.fellBack.has(item.id)) return "came by fallback";
		return "";
	}
}

const stateOf = ({ online, lowPower, doze }) => [!online && "No connection", lowPower && "Low power", doze && "Doze"].filter(Boolean).join(" · ") || "Connected";

function isDone(item, kind) {
	if (kind === "read") return item.readState === "read";
	if (kind === "dismiss") return !item.placeholder && !isOpen(item);
	return false;
}

function label(element, heading, id, text) {
	heading.id = id;
	heading.textContent = text;
	element.setAttribute("aria-labelledby", id);
}

/** A card that is dragged far enough to a side is dismissed. */
function swipeable(card, dismiss) {
	let from = null;
	const move = (x) => {
		card.style.setProperty("--x", `${x}px`);
		card.classList.toggle("dragged", x !== 0);
	};
	card.addEventListener("pointerdown", (event) => {
		if (event.button === 0 && !event.target.closest("button")) from = event.clientX;
	});
	card.addEventListener("pointermove", (event) => {
		const by = event.clientX - (from ?? event.clientX);
		if (Math.abs(by) < 8) return;
		card.setPointerCapture(event.pointerId);
		move(by);
	});
	const end = (event) => {
		const far = from !== null && Math.abs(event.clientX - from) > SWIPE;
		from = null;
		move(0);
		if (far && event.type === "pointerup") dismiss();
	};
	card.addEventListener("pointerup", end);
	card.addEventListener("pointercancel", end);
}
