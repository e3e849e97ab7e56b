import { parse } from "./api.js";

export function bytesOf(body) {
	if (body?.text !== undefined) return new TextEncoder().encode(body.text);
	return Uint8Array.from(atob(body?.base64 ?? ""), (letter) => letter.charCodeAt(0));
}

export const textOf = (body) => body?.text ?? new TextDecoder().decode(bytesOf(body));

const READERS = {
	apns(push) {
		const payload = parse(textOf(push.body));
		return { shows: payload.aps?.alert, tap: payload.beckon };
	},
	fcm(push) {
		const message = parse(textOf(push.body));
		return { shows: message.notification, tap: message.data };
	},
	webPush(push) {
		const payload = parse(textOf(push.body));
		return { shows: payload.title && payload, tap: payload.beckon };
	},
	wns(push) {
		const text = textOf(push.body);
		if (push.kind !== "wns/toast") return { tap: parse(text).beckon };
		const toast = new DOMParser().parseFromString(text, "text/xml");
		const launch = parse(toast.documentElement.getAttribute("launch") ?? "");
		const [title, body] = [...toast.getElementsByTagName("text")].map((line) => line.textContent);
		return { shows: { title, body }, tap: launch.beckon ?? launch };
	},
};

/** What a device learns of a push before it has pulled: what its platform shows by itself, and the tap. */
export function readPush(service, push) {
	const { shows, tap } = READERS[service](push);
	return { shows, tap: tap ?? {} };
}
