import { Away } from "./api.js";
import { byId, say } from "./dom.js";

const DELAY = 5;
/** Characters, within the hub's 256 bytes in any script. */
const TITLE = 60;

/** What the form says, as the app server would post it. */
export function draft({ raw, title, body, priority, fallback }) {
	if (raw === null) return { priority, payload: { visualContent: body ? { title, body } : { title } } };
	const notification = { priority, payload: { rawContent: raw } };
	if (fallback) notification.fallbackPolicy = { endpointFallback: fallbackOf(raw) };
	return notification;
}

const fallbackOf = (raw) => ({
	platformTypes: ["iOS", "android", "windows", "webPush"],
	fallbackDelayInSeconds: DELAY,
	visualContent: { title: [...raw].slice(0, TITLE).join("") },
});

/** One line for a shell that posts the same. */
export function curlOf({ path, token }, notification) {
	const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
	return `curl ${quote(location.origin + path)} -H ${quote(`Authorization: Bearer ${token}`)} -H 'Content-Type: application/json' -d ${quote(JSON.stringify(notification))}`;
}

const FIELDS = [
	[/visualContent\.title/, "title"], [/visualContent\.body/, "body"], [/fallback/i, "fallback"], [/rawContent/, "raw"],
];

export class Compose {
	#server = null;

	/** @param posted `(notification, ms)` */
	constructor(posted) {
		this.posted = posted;
		this.form = byId("compose");
		this.form.addEventListener("input", () => this.#changed());
		this.form.addEventListener("submit", (event) => this.#submit(event));
		byId("copy").addEventListener("click", () => this.#copy());
		this.#changed();
	}

	use(server) {
		this.#server = server;
		this.#changed();
	}

	#said() {
		const isRaw = byId("is-raw").checked;
		return {
			raw: isRaw ? byId("raw").value : null, title: byId("title").value, body: byId("body").value,
			priority: byId("priority").value, fallback: byId("fallback").checked && !byId("fallback").disabled,
		};
	}

	#changed() {
		const isRaw = byId("is-raw").checked;
		for (const field of this.form.querySelectorAll(".field")) field.hidden = field.classList.contains("raw") !== isRaw;
		const cannot = !isRaw || byId("priority").value !== "High";
		byId("fallback").disabled = cannot;
		byId("fallback-hint").hidden = !cannot;
		this.#clear();
		if (this.#server) say(byId("curl"), curlOf(this.#server, draft(this.#said())));
	}

	async #submit(event) {
		event.preventDefault();
		this.#clear();
		if (!this.#server) return;
		try {
			await this.post(draft(this.#said()));
		} catch (error) {
			this.#show(error);
		}
	}

	/** Posts, and measures until it is on the hub's disk. */
	async post(notification) {
		const start = performance.now();
		const stored = await this.#server.post(notification);
		this.posted(stored, Math.max(1, Math.round(performance.now() - start)));
		return stored;
	}

	#clear() {
		for (const place of this.form.querySelectorAll(".error")) say(place, "");
		for (const field of this.form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
	}

	#show(error) {
		if (error instanceof Away) return say(byId("form-error"), "Not posted: the hub is gone. What you wrote stays here.");
		const rest = (error.details ?? []).filter(({ target, message }) => !this.#beside(target, message));
		const none = !error.details?.length;
		say(byId("form-error"), none ? error.message : rest.map(({ message }) => message).join(" "));
		this.form.querySelector("[aria-invalid]")?.focus();
	}

	#beside(target = "", message) {
		const id = FIELDS.find(([pattern]) => pattern.test(target))?.[1];
		const field = id && byId(id);
		if (!field || field.closest("[hidden]")) return false;
		field.setAttribute("aria-invalid", "true");
		say(byId(`${id}-error`), message);
		return true;
	}

	async #copy() {
		const button = byId("copy");
		try {
			await navigator.clipboard.writeText(byId("curl").textContent);
			say(button, "Copied");
		} catch {
			getSelection().selectAllChildren(byId("curl"));
			say(button, "Selected");
		}
		setTimeout(() => say(button, "Copy"), 1500);
	}
}
