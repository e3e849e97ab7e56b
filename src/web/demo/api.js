export class Refused extends Error {
	constructor(status, error) {
		super(error.message ?? `The hub answered ${status}.`);
		this.status = status;
		this.details = error.details ?? [];
	}
}

/** No answer at all: the hub is not there. */
export class Away extends Error {}

let whenAway = () => {};

/** Says whom to tell when a request finds no hub. */
export function onAway(listener) {
	whenAway = listener;
}

/** One request to our own origin; gives the JSON of the answer, or null without one. */
export async function call(method, path, { token, body } = {}) {
	const headers = {};
	if (token) headers.authorization = `Bearer ${token}`;
	if (body !== undefined) headers["content-type"] = "application/json";
	const answer = await reach(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store" });
	const text = await answer.text().catch(() => "");
	if (!answer.ok) throw new Refused(answer.status, parse(text).error ?? {});
	return text ? parse(text) : null;
}

async function reach(path, request) {
	try {
		return await fetch(path, request);
	} catch {
		whenAway();
		throw new Away("The hub does not answer.");
	}
}

export function parse(text) {
	try {
		return JSON.parse(text) ?? {};
	} catch {
		return {};
	}
}

/** Whether the hub takes work; never throws. */
export async function ready() {
	try {
		return (await fetch("/readyz", { cache: "no-store", signal: AbortSignal.timeout(1500) })).ok;
	} catch {
		return false;
	}
}

export const demoState = () => call("GET", "/demo/state");

export const moveSwitch = (device, patch) => call("PATCH", `/demo/devices/${device}`, { body: patch });

/** The pushes that reached the service for a device. */
export const arrivals = async (device) => (await call("GET", `/demo/arrivals?device=${device}`)).value;

export class AppServer {
	constructor({ user, appKey }) {
		this.path = `/v1/users/${encodeURIComponent(user)}/notifications`;
		this.token = appKey;
	}

	post(notification) {
		return call("POST", this.path, { token: this.token, body: notification });
	}

	async list(filter) {
		const only = filter === "all" ? "" : `&readState=${filter}`;
		return (await call("GET", `${this.path}?$top=30${only}`, { token: this.token })).value;
	}

	async deliveries(id) {
		return (await call("GET", `${this.path}/${id}/deliveries`, { token: this.token })).value;
	}
}

export class Client {
	constructor(token) {
		this.token = token;
	}

	#call(method, path, body) {
		return call(method, `/v1/me/notifications${path}`, { token: this.token, body });
	}

	/** All changes since a cursor, or from the beginning. */
	async delta(cursor) {
		const changes = [];
		let path = `/delta${cursor ? `?$deltatoken=${encodeURIComponent(cursor)}` : ""}`;
		for (;;) {
			const page = await this.#call("GET", path);
			changes.push(...page.value);
			const next = page["@odata.nextLink"];
			if (!next) return { changes, cursor: tokenOf(page["@odata.deltaLink"]) };
			path = `/delta${new URL(next, location.href).search}`;
		}
	}

	/** The ids of the newest, the one posted last first. */
	async history() {
		const page = await this.#call("GET", "?$top=1000");
		return page.value.map(({ id }) => id);
	}

	patch(id, set) {
		return this.#call("PATCH", `/${id}`, set);
	}

	remove(id) {
		return this.#call("DELETE", `/${id}`);
	}

	receipts(shown, upTo) {
		return this.#call("POST", "/receipts", shown.length ? { shown, upTo } : { upTo });
	}
}

const tokenOf = (link) => new URL(link, location.href).searchParams.get("$deltatoken");
