import { Away } from "./api.js";
import { nameOf, stageOf } from "./device.js";
import { byId, h, halvesOf, reconcile, say, timeOf } from "./dom.js";

const RUNGS = ["pending", "tapped", "fetched", "shown", "acted"];
/** How long after an event to read again, each after the one before. */
const READS = [60, 250, 700, 1500];

/** What became of one notification on each device, and the history to choose it from. */
export class Ladder {
	#chosen = null;
	#newest = null;
	#took = new Map();
	#reads = [];
	#timer = 0;
	#turn = 0;
	#filter = "all";

	constructor(server, nameOfDevice) {
		this.server = server;
		this.nameOfDevice = nameOfDevice;
		this.past = byId("past");
		this.head = h("p", { class: "stored" });
		this.devices = h("ul", { class: "ladders", role: "list", "aria-label": "Each device" });
		this.empty = h("p", { class: "empty", text: "Post something, and see how far it gets on each device." });
		byId("ladder").append(this.head, this.devices, this.empty);
		for (const radio of document.getElementsByName("filter")) radio.addEventListener("change", () => {
			this.#filter = radio.value;
			this.touch();
		});
	}

	/** Something was posted from here: it is the one to look at. */
	posted(notification, ms) {
		this.#took.set(notification.id, ms);
		this.#chosen = null;
		this.#newest = notification;
		this.touch();
	}

	/** Something happened: reads now, and a few times more. */
	touch() {
		this.#reads = [...READS];
		this.#next();
	}

	#next() {
		clearTimeout(this.#timer);
		const turn = ++this.#turn;
		const wait = this.#reads.shift();
		if (wait === undefined) return;
		this.#timer = setTimeout(async () => {
			await this.#read().catch((error) => this.#failed(error));
			if (turn === this.#turn) this.#next();
		}, wait);
	}

	#failed(error) {
		if (!(error instanceof Away) && error.status !== 404) say(this.head, error.message);
	}

	async #read() {
		const server = this.server();
		if (!server) return;
		const all = await server.list(this.#filter);
		this.#drawPast(all.filter((item) => this.#filter === "all" || item.readState === this.#filter));
		if (this.#filter === "all" && all[0]) this.#newest = all[0];
		const item = this.#chosen ?? this.#newest ?? all[0];
		this.empty.hidden = Boolean(item);
		if (!item) return;
		try {
			this.#draw(item, await server.deliveries(item.id));
		} catch (error) {
			if (error.status !== 404) throw error;
			this.#lost(item);
		}
	}

	#lost(item) {
		this.#name(item, "deleted or expired");
		this.devices.replaceChildren();
		if (this.#chosen?.id === item.id) this.#chosen = null;
		if (this.#newest?.id === item.id) this.#newest = null;
	}

	#name(item, note = "stored") {
		const took = this.#took.has(item.id) ? ` (${this.#took.get(item.id)} ms)` : "";
		this.head.replaceChildren(
			h("strong", { text: nameOf(item) }), " ",
			h("span", {}, h("time", { datetime: item.createdDateTime, text: timeOf(item.createdDateTime) }), ` ${note}${took}`));
	}

	#draw(item, deliveries) {
		this.#name(item);
		const named = deliveries.map((delivery) => ({ ...delivery, id: delivery.endpointId, name: this.nameOfDevice(delivery.endpointId) }));
		reconcile(this.devices, named.sort((a, b) => a.name.at - b.name.at), () => h("li", { class: "ladder" }), drawDelivery);
		this.#mark(item.id);
	}

	#drawPast(items) {
		const make = () => h("li", {}, h("button", { type: "button", class: "past", onclick: (event) => this.#select(event) }, h("span"), h("small")));
		reconcile(this.past, items, make, (element, item) => {
			element.item = item;
			say(element.querySelector("span"), nameOf(item));
			say(element.querySelector("small"), `${stageOf(item)} · ${timeOf(item.createdDateTime)}`);
		});
	}

	#select(event) {
		this.#chosen = event.target.closest("li").item;
		this.#mark(this.#chosen.id);
		this.touch();
	}

	#mark(id) {
		for (const entry of this.past.children) entry.firstChild.setAttribute("aria-pressed", String(entry.dataset.id === id));
	}
}

function drawDelivery(element, delivery) {
	const reached = RUNGS.indexOf(delivery.status);
	const rungs = RUNGS.map((rung, at) => rungOf(rung, delivery[`${rung}DateTime`], at <= reached));
	element.replaceChildren(
		h("p", { class: "who" }, h("strong", { text: delivery.name.text }), statusOf(delivery)),
		h("ol", { class: "rungs" }, ...rungs),
		h("p", { class: "why", text: localTimes(delivery.explanation ?? "") }));
}

function statusOf({ status, reason, fellBackDateTime }) {
	const parts = [];
	if (reason && RUNGS.indexOf(status) < 1) parts.push(`${status}: ${spaced(reason)}`);
	else if (!RUNGS.includes(status)) parts.push(status);
	if (fellBackDateTime) parts.push(`fell back ${timeOf(fellBackDateTime)}`);
	return h("span", { class: "end", text: parts.join(" · ") });
}

function rungOf(rung, when, passed) {
	const state = when ? "done" : passed ? "passed" : "open";
	return h("li", { class: state }, h("span", { text: rung }), when ? split(when) : h("span", { text: passed ? "·" : "–" }));
}

function split(when) {
	const [start, end] = halvesOf(when);
	return h("time", { datetime: when }, start, h("wbr"), end);
}

const spaced = (reason) => reason.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
const localTimes = (text) => text.replace(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)/g, timeOf);
