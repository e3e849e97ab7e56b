import { arrivals } from "./api.js";
import { h, timeOf } from "./dom.js";
import { bytesOf, textOf } from "./push.js";

const FATES = { handedOver: "handed over", handedOverLater: "handed over later", overflowed: "all dropped" };
const ARRIVED = ["handedOver", "handedOverLater"];
const SHORTEST = 3;

/** What a push service saw of the newest push to one device, whole. */
export class Wire {
	#arrival = null;
	#caption = h("p", { class: "verdict" });

	constructor(place, texts) {
		this.place = place;
		this.texts = texts;
		place.append(h("p", { class: "verdict", text: "No push yet." }));
	}

	/** Begins with the newest push that the double remembers. */
	async begin(device) {
		const newest = (await arrivals(device)).filter(isPush).at(-1);
		if (newest && newest.seq > (this.#arrival?.seq ?? 0)) this.show(newest);
	}

	show(arrival) {
		if (!isPush(arrival)) return;
		this.#arrival = arrival;
		const sealed = arrival.service === "webPush";
		const parts = sealed ? sealedParts(arrival) : [bytes(pretty(arrival.body), "The body of the push")];
		this.place.replaceChildren(summary(arrival), ...parts, this.#caption, whole(arrival));
		this.search();
	}

	/** What waited for the device has left: it is there again. */
	released() {
		if (this.#arrival?.fate === "waiting") this.show({ ...this.#arrival, fate: "handedOverLater" });
	}

	/** Looks for all that the person has in all that the service got. */
	search() {
		if (!this.#arrival) return;
		const texts = this.texts().filter((text) => text.length >= SHORTEST);
		const seen = haystack(this.#arrival);
		const found = texts.filter((text) => seen.some((part) => part.includes(text)));
		this.#caption.textContent = verdict(texts.length, found);
		this.#caption.classList.toggle("leak", found.length > 0);
	}
}

const isPush = (arrival) => Boolean(arrival.device) && arrival.method === "POST";

function verdict(count, found) {
	if (found.length) return `“${found[0]}” is in it.`;
	if (!count) return "Nothing is posted that could be in it.";
	return `Searched for ${count === 1 ? "the one title or text" : `all ${count} titles and texts`} posted: none is in it.`;
}

function haystack({ path, headers, body, plaintext }) {
	const latin = String.fromCharCode(...bytesOf(body));
	return [latin, ...[body, plaintext].flatMap((part) => [textOf(part), unescaped(textOf(part))]), path, ...headers.map(([, value]) => value)];
}

/** As it reads without the escapes of XML and JSON. */
const unescaped = (text) => text.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&amp;", "&")
	.replace(/\\(?:u([0-9a-f]{4})|(.))/gi, (_, code, letter) => letter ?? String.fromCharCode(parseInt(code, 16)));

function summary(arrival) {
	const types = ["apns-push-type", "x-wns-type", "urgency"];
	const type = arrival.headers.find(([key]) => types.includes(key))?.[1] ?? "message";
	const fate = arrival.reason ?? FATES[arrival.fate] ?? arrival.fate;
	return h("p", { class: "facts" },
		h("time", { datetime: arrival.at, text: timeOf(arrival.at) }),
		h("span", { text: `${type} · ${bytesOf(arrival.body).length} bytes` }),
		fate && h("span", { class: ARRIVED.includes(arrival.fate) ? "" : "held", text: fate }));
}

function sealedParts(arrival) {
	const sealed = bytesOf(arrival.body);
	const hex = [...sealed.slice(0, 20)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
	return [
		bytes(`${hex} …`, "How the ciphertext begins"),
		h("p", { class: "facts", text: `${sealed.length} bytes of ciphertext. Decrypted in the browser:` }),
		bytes(pretty(arrival.plaintext), "What the browser decrypts"),
	];
}

function whole({ method, path, headers, status }) {
	const lines = [`${method} ${path}`, ...headers.map(([name, value]) => `${name}: ${value}`), `→ ${status ?? "no answer"}`];
	return h("details", {}, h("summary", { text: "The request around it" }), bytes(lines.join("\n"), "Request line and headers"));
}

const bytes = (text, label) => h("pre", { tabindex: "0", role: "group", "aria-label": label, text });

/** Breaks a body into lines without touching anything but white space between its parts. */
export function pretty(body) {
	const text = textOf(body);
	if (text.startsWith("<")) return text.replace(/>\s*</g, ">\n<");
	if (!text.startsWith("{")) return text;
	let depth = 0;
	const line = () => `\n${"  ".repeat(depth)}`;
	return text.replace(/"(?:[^"\\]|\\.)*"|[{}[\],:]|\s+|[^\s"{}[\],:]+/g, (part) => {
		if (part === "{" || part === "[") { depth += 1; return part + line(); }
		if (part === "}" || part === "]") { depth -= 1; return line() + part; }
		if (part === ",") return part + line();
		if (part === ":") return ": ";
		return part.trim() ? part : "";
	});
}
