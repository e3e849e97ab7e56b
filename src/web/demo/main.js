import { AppServer, demoState } from "./api.js";
import { COLUMNS, Column } from "./column.js";
import { Compose } from "./compose.js";
import { Device } from "./device.js";
import { byId, say } from "./dom.js";
import { Ladder } from "./ladder.js";
import { Live } from "./live.js";
import { Play } from "./play.js";
import { Wire } from "./wire.js";

class Page {
	devices = [];
	server = null;
	posted = new Set();
	tabs = new BroadcastChannel("beckon");

	constructor() {
		this.columns = COLUMNS.map(([name, service]) => new Column(name, service));
		byId("devices").append(...this.columns.map((column) => column.root));
		this.wires = this.columns.map((column) => new Wire(column.saw, () => this.#texts()));
		this.ladder = new Ladder(() => this.server, (id) => this.#nameOf(id));
		this.compose = new Compose((notification, ms) => this.#posted(notification, ms));
		this.play = new Play(() => this.devices[0], this.compose);
		this.live = new Live({
			onEvent: (kind, entry) => this.#event(kind, entry),
			onOpen: () => this.#begin(),
			onState: (state) => this.#state(state),
		});
		this.live.run();
		setInterval(() => this.#all((device) => device.tidy()), 1000);
		this.tabs.onmessage = () => this.#all((device) => device.wake());
	}

	/** The stream is open: reads what the demo is made of, and opens the app on every device. */
	async #begin() {
		try {
			const state = await demoState();
			this.#use(state);
			this.#all((device) => device.wake());
			await Promise.all(this.devices.map((device, at) => device && this.wires[at].begin(device.twin.id)));
			this.ladder.touch();
		} catch (error) {
			if (error.status) setTimeout(() => this.#begin(), 1000);
		}
	}

	#all(run) {
		this.devices.forEach(run);
	}

	#use(state) {
		this.server = new AppServer(state);
		this.compose.use(this.server);
		say(byId("person"), `${state.user}@${state.app}`);
		say(byId("budget"), String(state.silentPerHour));
		COLUMNS.forEach(([, service], at) => {
			const entry = state.devices.find((device) => device.service === service);
			if (entry && this.devices[at]) this.devices[at].bind(entry);
			else if (entry) this.#add(new Device(entry), at);
		});
	}

	#add(device, at) {
		this.devices[at] = device;
		this.columns[at].show(device);
		device.addEventListener("told", () => this.tabs.postMessage(0));
		device.addEventListener("change", () => {
			this.wires[at].search();
			this.ladder.touch();
		});
	}

	#event(kind, entry) {
		const at = this.devices.findIndex((device) => device?.twin.id === entry.device);
		this.play.saw(kind, entry);
		if (at < 0) return;
		if (kind === "push") this.devices[at].pushed(entry.push);
		else this.wires[at].show(entry);
		if (kind === "push" && entry.waited) this.wires[at].released();
		if (entry.fate === "waiting") demoState().then((state) => this.#use(state), () => {});
		this.ladder.touch();
	}

	#posted(notification, ms) {
		for (const text of textsOf(notification)) this.posted.add(text);
		this.ladder.posted(notification, ms);
	}

	#texts() {
		const held = this.devices.flatMap((device) => device?.inbox ?? []);
		return [...new Set([...this.posted, ...held.flatMap(textsOf)])];
	}

	#nameOf(endpointId) {
		const at = this.devices.findIndex((device) => device?.endpointId === endpointId);
		return at < 0 ? { at: 99, text: endpointId } : { at, text: COLUMNS[at][0] };
	}

	#state(state) {
		byId("live").dataset.state = state;
		say(byId("live"), state);
		say(byId("status"), state === "gone" ? "The hub is gone; trying again" : "");
	}
}

function textsOf(notification) {
	const { title, body } = notification.payload?.visualContent ?? {};
	return [title, body, notification.payload?.rawContent].filter(Boolean);
}

function themeSwitch() {
	const root = document.documentElement;
	const dark = matchMedia("(prefers-color-scheme: dark)");
	const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
	const label = () => say(byId("theme"), isDark() ? "Light" : "Dark");
	byId("theme").addEventListener("click", () => {
		root.dataset.theme = isDark() ? "light" : "dark";
		localStorage.setItem("beckon.theme", root.dataset.theme);
		label();
	});
	dark.addEventListener("change", label);
	label();
}

themeSwitch();
new Page();
