import { Away, moveSwitch } from "./api.js";
import { draft } from "./compose.js";
import { byId, say, timeOf } from "./dom.js";

const PATIENCE = 15_000;
const RAW = "Order 7 is ready";

/** The sleeping phone: moves the switches, posts, and tells what the doubles report. */
export class Play {
	#watch = () => {};
	#button = byId("play");

	constructor(phone, compose) {
		this.phone = phone;
		this.compose = compose;
		this.#button.addEventListener("click", () => this.#play());
	}

	/** Every event of the doubles passes here. */
	saw(kind, entry) {
		this.#watch(kind, entry);
	}

	async #play() {
		const phone = this.phone();
		if (!phone || this.#button.ariaDisabled === "true") return;
		this.#button.ariaDisabled = "true";
		const before = phone.twin.lowPower;
		this.#watch = () => {};
		try {
			await this.#scene(phone);
		} catch (error) {
			tell(error instanceof Away ? "The hub is gone, so the scene ends here." : error.message);
		}
		if (!before) await this.#set(phone, { lowPower: false }).catch(() => {});
		this.#button.ariaDisabled = "false";
	}

	async #set(phone, patch) {
		phone.moved(await moveSwitch(phone.twin.id, patch));
	}

	async #scene(phone) {
		await this.#set(phone, { online: true, lowPower: true });
		tell("Low power: the iPhone swallows silent pushes.");
		const silent = this.#arrival(phone, (arrival) => arrival.fate === "swallowed");
		const visible = this.#arrival(phone, (arrival) => arrival.fate === "handedOver");
		await this.compose.post(draft({ raw: RAW, priority: "High", fallback: true }));
		tell("Posted, raw and High. The other three have it.");
		const first = await silent;
		if (first) tell(`${timeOf(first.at)} A silent push reached Apple; the phone swallowed it. The hub waits 5 s for a fetch.`);
		const last = await visible;
		if (!last) return tell("No visible push within 15 s; “What happened” says why.");
		tell(`${timeOf(last.at)} No fetch came, so the hub sent a visible push. Low power is off again.`);
	}

	/** The next push to the phone of that kind, or null. */
	#arrival(phone, wanted) {
		return new Promise((resolve) => {
			const outer = this.#watch;
			const timer = setTimeout(() => resolve(null), PATIENCE);
			this.#watch = (kind, entry) => {
				outer(kind, entry);
				if (kind !== "arrival" || entry.device !== phone.twin.id || !wanted(entry)) return;
				clearTimeout(timer);
				resolve(entry);
			};
		});
	}
}

const tell = (text) => say(byId("story"), text);
