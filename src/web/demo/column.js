import { Away, moveSwitch } from "./api.js";
import { isOpen, nameOf } from "./device.js";
import { h, icon, reconcile, say } from "./dom.js";

const KINDS = {
  apns: { look: "iphone", firm: "Apple", switches: [["Offline", "online", true], ["Low power", "lowPower"]] },
  fcm: { look: "android", firm: "Google", switches: [["Offline", "online", true], ["Doze", "doze"]] },
  wns: { look: "pc", firm: "Microsoft", switches: [["Offline", "online", true]] },
  webPush: { look: "browser", firm: "Mozilla", switches: [["Offline", "online", true], ["Tab closed", "tabClosed"]] },
};
const ACTS = { open: "Open", dismiss: "Dismiss", read: "Mark read", delete: "Delete" };
const SWIPE = 72;

/** The four columns as they are before anything is known, in order. */
export const COLUMNS = [["iPhone", "apns"], ["Android", "fcm"], ["Windows PC", "wns"], ["Browser", "webPush"]];

/** A device as it is drawn: its screen, its switches, and the place for what its push service saw. */
export class Column {
  #device = null;

  /** @param {string} name @param {"apns"|"fcm"|"wns"|"webPush"} service */
  constructor(name, service) {
    this.kind = KINDS[service];
    const root = document.getElementById("device").content.cloneNode(true).firstElementChild;
    const find = (selector) => root.querySelector(selector);
    const id = this.kind.look;
    root.classList.add(id);
    root.setAttribute("aria-labelledby", `${id}-name`);
    find("h2").id = `${id}-name`;
    find("h2").textContent = name;
    this.root = root;
    this.state = find(".state");
    this.waits = find(".waits");
    this.shade = this.#list(find(".shade"), "Shade", id);
    this.inbox = this.#list(find(".inbox"), "Inbox", id);
    this.figure = find("figure");
    find("figcaption").textContent = `What ${this.kind.firm} saw`;
    find("figcaption").id = `${id}-saw`;
    this.figure.setAttribute("aria-labelledby", `${id}-saw`);
    this.saw = find(".saw");
    this.#chrome(find(".chrome"));
    this.#switches(find(".switches"));
  }

  #list(part, name, id) {
    const heading = part.querySelector("h3");
    heading.id = `${id}-${name.toLowerCase()}`;
    heading.tabIndex = -1;
    const list = part.querySelector("ul");
    list.setAttribute("role", "list");
    list.setAttribute("aria-labelledby", heading.id);
    return list;
  }

  #chrome(place) {
    if (this.kind.look === "pc") place.append(h("span", { text: "Todo" }));
    if (this.kind.look === "browser") place.append(h("span", { class: "tab", text: "Todo" }), h("span", { class: "address", text: "todo.example" }));
  }

  #switches(place) {
    this.inputs = this.kind.switches.map(([label, key, inverted]) => {
      const input = h("input", { type: "checkbox", role: "switch", disabled: true, onchange: () => this.#move(key, input, inverted) });
      place.append(h("label", { class: "switch" }, input, h("span", { text: label })));
      return { input, key, inverted };
    });
    this.launch = h("button", { type: "button", class: "quiet launch", text: "Launch app", disabled: true, title: "Opens the app on this device: it pulls", onclick: () => this.#device.wake() });
    place.append(this.launch);
  }

  async #move(key, input, inverted) {
    try {
      this.#device.moved(await moveSwitch(this.#device.twin.id, { [key]: input.checked !== Boolean(inverted) }));
    } catch (error) {
      this.#draw();
      if (!(error instanceof Away)) say(this.waits, error.message);
    }
  }

  /** Shows this device from now on. */
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
    if (queue.length && !twin.online) parts.push(`${queue.length} to tell the hub once online`);
    return parts.join(" · ");
  }

  #button(kind, asIcon) {
    const button = h("button", { type: "button", class: asIcon ? "icon" : "word", "data-act": kind },
      h("span", { class: asIcon ? "sr" : "", text: ACTS[kind] }), h("span", { class: "sr of" }));
    if (asIcon) button.append(icon(kind));
    if (asIcon) button.title = ACTS[kind];
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
    set(".tag", element.className === "row" ? stageOf(item) : this.#tag(item));
    element.classList.toggle("unread", item.readState === "unread");
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

function stageOf({ readState, userActionState }) {
  if (userActionState === "activated") return "opened";
  if (userActionState !== "noInteraction") return userActionState;
  return readState;
}

function isDone(item, kind) {
  if (kind === "read") return item.readState === "read";
  if (kind === "dismiss") return !item.placeholder && !isOpen(item);
  return false;
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
    if (from === null) return;
    const by = event.clientX - from;
    if (Math.abs(by) > 8 && !card.hasPointerCapture(event.pointerId)) card.setPointerCapture(event.pointerId);
    if (Math.abs(by) > 8) move(by);
  });
  card.addEventListener("pointerup", (event) => {
    const far = from !== null && Math.abs(event.clientX - from) > SWIPE;
    from = null;
    move(0);
    if (far) dismiss();
  });
  card.addEventListener("pointercancel", () => {
    from = null;
    move(0);
  });
}
