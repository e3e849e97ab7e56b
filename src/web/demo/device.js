import { Away, Client, Refused } from "./api.js";
import { readPush } from "./push.js";

const SETS = {
	open: { readState: "read", userActionState: "activated" },
	dismiss: { userActionState: "dismissed" },
	read: { readState: "read" },
};

/** What a person calls a notification: its title, or its raw text. */
export function nameOf(item) {
	return item.payload?.visualContent?.title ?? item.payload?.rawContent ?? "";
}

export const isOpen = (item) => item.readState === "unread" && item.userActionState === "noInteraction";

export function stageOf({ readState, userActionState }) {
	return userActionState === "noInteraction" ? readState : userActionState;
}

/** What a replacement changes and an act does not. */
const contentOf = ({ readState, userActionState, lastModifiedDateTime, version, ...content }) => JSON.stringify(content);

/** One device with the app on it: it pulls when tapped or opened, sends what the person does, and knows no other. */
export class Device extends EventTarget {
	#pulling = false;
	#again = false;
	#sending = false;

	constructor(entry) {
		super();
		this.bind(entry);
	}

	/** Takes what the demo says about it; with another token it starts anew. */
	bind(entry) {
		const renewed = this.token !== entry.token;
		Object.assign(this, { name: entry.name, service: entry.service, endpointId: entry.endpointId, token: entry.token });
		this.twin = entry.device;
		if (!renewed) return this.#changed();
		this.client = new Client(entry.token);
		this.key = `beckon.${entry.endpointId}.${entry.token.slice(-12)}`;
		this.placeholders = new Map();
		this.#load();
		this.#changed();
	}

	get online() {
		return this.twin.online;
	}

	/** Open ones, and placeholders of those not yet pulled. */
	get shade() {
		const known = this.inbox.filter(isOpen);
		const extra = [...this.placeholders.values()].filter((card) => !this.items.has(card.id));
		return [...extra.reverse(), ...known];
	}

	/** All it holds, the one posted last first; what was replaced was posted anew. */
	get inbox() {
		return [...this.items.values()].reverse();
	}

	moved(twin) {
		const { online, tabClosed } = this.twin;
		this.twin = twin;
		this.#changed();
		const opened = tabClosed && !twin.tabClosed;
		if (twin.online && (!online || opened)) this.wake();
	}

	pushed(push) {
		const { shows, tap } = readPush(this.service, push);
		if (shows && tap.n) this.#place(tap, shows);
		this.wake();
	}

	#place(tap, shows) {
		const title = shows.title || "New notification";
		const card = { id: tap.n, placeholder: true, payload: { visualContent: { title, body: shows.body } } };
		this.placeholders.set(tap.n, card);
		if (tap.k === "fallback") this.fellBack.add(tap.n);
		this.#changed();
	}

	/** Sends what waits and pulls; a second call meanwhile makes it pull once more. */
	async wake() {
		if (!this.online) return;
		this.#again = true;
		if (this.#pulling) return;
		this.#pulling = true;
		try {
			while (this.#again && this.online) {
				this.#again = false;
				await this.#send();
				await this.#pull();
			}
		} catch (error) {
			this.#failed(error);
		} finally {
			this.#pulling = false;
		}
	}

	async #pull() {
		const { client, cursor } = this;
		const delta = await this.#delta();
		if (client !== this.client) return;
		for (const change of delta.changes) this.#apply(change);
		if (delta.changes.length) this.#tell();
		for (const act of this.queue) this.#foresee(act);
		this.placeholders.clear();
		this.cursor = delta.cursor;
		this.#changed();
		const shown = this.shade.map((item) => item.id).filter((id) => !this.seen.has(id));
		if (!shown.length && cursor === delta.cursor) return;
		await client.receipts(shown, delta.cursor);
		for (const id of shown) this.seen.add(id);
		this.#changed();
	}

	async #delta() {
		if (this.cursor) {
			try {
				return await this.#ordered(this.cursor);
			} catch (error) {
				if (error.status !== 410) throw error;
				this.cursor = null;
				this.items.clear();
			}
		}
		return this.#ordered(null);
	}

	/** What came, oldest first: a delta stands in the order of changes, the history in that of posts. */
	async #ordered(cursor) {
		const delta = await this.client.delta(cursor);
		if (delta.changes.length < 2) return delta;
		const newest = await this.client.history();
		const place = ({ id }) => newest.indexOf(id);
		delta.changes.sort((a, b) => place(b) - place(a));
		return delta;
	}

	/** The hub now takes it for up to date, in every tab. */
	#tell() {
		this.dispatchEvent(new Event("told"));
	}

	/** Drops what is over: no tap tells of that. */
	tidy() {
		const over = [...this.items.values()].filter((item) => Date.parse(item.expirationDateTime) <= Date.now());
		for (const { id } of over) this.items.delete(id);
		if (over.length) this.#changed();
	}

	#apply(change) {
		if (change["@removed"]) {
			this.items.delete(change.id);
			this.seen.delete(change.id);
			return;
		}
		const old = this.items.get(change.id);
		if (old && isOpen(change) && (!isOpen(old) || nameOf(old) !== nameOf(change))) this.seen.delete(change.id);
		this.#hold(change);
	}

	/** Items stand in the order in which their content came: what an act changed keeps its place. */
	#hold(item) {
		const old = this.items.get(item.id);
		if (old && contentOf(old) !== contentOf(item)) this.items.delete(item.id);
		this.items.set(item.id, item);
	}

	/** The person does something: shown at once, sent as soon as there is a way. */
	act(id, kind) {
		const act = { id, kind, upTo: this.cursor };
		this.queue.push(act);
		this.#foresee(act);
		this.placeholders.delete(id);
		this.#changed();
		if (kind === "open") this.wake();
		else this.#send().catch((error) => this.#failed(error));
	}

	#foresee({ id, kind }) {
		const item = this.items.get(id);
		if (kind === "delete") this.items.delete(id);
		else if (item) this.items.set(id, { ...item, ...SETS[kind] });
	}

	async #send() {
		if (this.#sending || !this.online) return;
		this.#sending = true;
		try {
			while (this.queue.length && this.online) {
				const item = await this.#sendOne(this.queue[0]);
				this.queue.shift();
				if (item) this.#hold(item);
				for (const act of this.queue) this.#foresee(act);
				this.#changed();
				this.#tell();
			}
		} finally {
			this.#sending = false;
		}
	}

	/** The notification as it is now; null if it is gone. */
	async #sendOne({ id, kind, upTo, late }) {
		try {
			if (kind === "delete") return await this.client.remove(id);
			return await this.client.patch(id, late && upTo ? { ...SETS[kind], upTo } : SETS[kind]);
		} catch (error) {
			if (error instanceof Away) this.queue[0].late = true;
			if (!(error instanceof Refused) || error.status >= 500) throw error;
			if (error.status === 404) this.items.delete(id);
			else if (error.status !== 410) this.#failed(error);
			return null;
		}
	}

	#failed(error) {
		if (error instanceof Away) return;
		if (error.status >= 500) return setTimeout(() => this.wake(), 1000);
		this.dispatchEvent(new CustomEvent("failed", { detail: error }));
	}

	#changed() {
		if (this.queue && !this.online) for (const act of this.queue) act.late = true;
		this.#save();
		this.dispatchEvent(new Event("change"));
	}

	#load() {
		const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "null") ?? {};
		this.cursor = kept.cursor ?? null;
		this.items = new Map((kept.items ?? []).map((item) => [item.id, item]));
		this.seen = new Set(kept.seen);
		this.fellBack = new Set(kept.fellBack);
		this.queue = kept.queue ?? [];
	}

	#save() {
		if (!this.key) return;
		const { cursor, queue } = this;
		const kept = { cursor, queue, items: [...this.items.values()], seen: [...this.seen], fellBack: [...this.fellBack] };
		try {
			sessionStorage.setItem(this.key, JSON.stringify(kept));
		} catch {
			sessionStorage.clear();
		}
	}
}
