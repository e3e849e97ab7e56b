import { onAway, ready } from "./api.js";
import { sleep } from "./dom.js";

const PROBE_EVERY = 2000;

/** The one event stream of the page: what the doubles received and handed over. It goes on where it stopped. */
export class Live {
	#place = null;
	#source = null;
	#stopped = false;

	/** @param to `onEvent(kind, entry)`, `onOpen()`, `onState("live" or "gone")` */
	constructor(to) {
		this.to = to;
		onAway(() => this.#source?.dispatchEvent(new Event("error")));
		addEventListener("pagehide", () => this.#stop());
		addEventListener("pageshow", (event) => event.persisted && this.run());
	}

	/** Follows the stream until the page is left; probes the hub only while the stream is broken. */
	async run() {
		this.#stopped = false;
		while (!this.#stopped) {
			const opened = await this.#session();
			if (!opened) await this.#gone();
			while (!this.#stopped && !(await ready())) await this.#gone();
		}
	}

	async #gone() {
		if (this.#stopped) return;
		this.to.onState("gone");
		await sleep(PROBE_EVERY);
	}

	/** One connection; resolves when it broke, to whether it had been open. */
	#session() {
		const source = new EventSource(`/demo/stream${this.#place === null ? "" : `?after=${this.#place}`}`);
		let opened = false;
		this.#source = source;
		for (const kind of ["arrival", "push"]) source.addEventListener(kind, (event) => this.#take(kind, event));
		source.onopen = () => {
			opened = true;
			this.to.onState("live");
			this.to.onOpen();
		};
		return new Promise((resolve) => {
			source.onerror = () => {
				source.close();
				resolve(opened);
			};
		});
	}

	#take(kind, event) {
		this.#place = event.lastEventId || this.#place;
		this.to.onEvent(kind, JSON.parse(event.data));
	}

	#stop() {
		this.#stopped = true;
		this.#source?.close();
	}
}
