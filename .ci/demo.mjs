// Drives the demo page as a person would. BASE_URL: where `beckon serve --demo` listens; OUT: a folder for screenshots.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const BASE = process.env.BASE_URL ?? "http://127.0.0.1:8480";
const OUT = process.env.OUT ?? "demo-shots";
const DEVICES = ["iPhone", "Android", "Windows PC", "Browser"];
const WITHIN = 5000;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let passed = 0;
let failed = 0;

async function check(name, run) {
  try {
    await run();
    passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.message}`);
  }
}

function expect(truth, message) {
  if (!truth) throw new Error(message);
}

const region = (page, name) => page.getByRole("region", { name, exact: true });
const list = (page, device, name) => region(page, device).getByRole("list", { name });
const item = (page, device, name, title) => list(page, device, name).getByRole("listitem").filter({ hasText: title });

async function waitFor(locator, state) {
  await locator.first().waitFor({ state, timeout: WITHIN });
}

/** All at once, so that the time limit holds for each of them. */
const onEach = (devices, run) => Promise.all(devices.map(run));

async function post(page, title) {
  await page.getByRole("textbox", { name: "Title" }).fill(title);
  await page.getByRole("textbox", { name: "Body" }).fill("12:30, the usual corner");
  await page.getByRole("button", { name: "Post", exact: true }).click();
}

async function axe(page) {
  // Through the debugger, which the page's Content-Security-Policy does not bind.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(!bad.length, bad.map(({ id, nodes }) => `${id} at ${nodes.map(({ target }) => target).join(", ")}`).join("; "));
}

async function shoot(page, name, size) {
  await page.setViewportSize(size);
  await page.screenshot({ path: join(OUT, `${name}.png`), fullPage: true });
}

function watch(page) {
  const seen = { errors: [], foreign: [] };
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== "data:" && origin !== new URL(BASE).origin) seen.foreign.push(request.url());
  });
  return seen;
}

async function story(page) {
  const title = `Lunch? ${Date.now().toString(36)}`;
  await check("the first paint comes within a second", async () => {
    const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    expect(paint < 1000, `it took ${paint} ms`);
  });
  await check("four devices are there", () => onEach(DEVICES, (device) => waitFor(region(page, device), "visible")));
  await check("it is live", () => waitFor(page.getByText("live", { exact: true }), "visible"));
  await check("something is in each inbox already", () => onEach(DEVICES, (device) => waitFor(list(page, device, "Inbox").getByRole("listitem"), "visible")));
  await check("a post is in all four shades within 5 s", async () => {
    await post(page, title);
    await onEach(DEVICES, (device) => waitFor(item(page, device, "Shade", title), "visible"));
  });
  await check("each push service saw a push without title and body", () => onEach(["Apple", "Google", "Microsoft", "Mozilla"], async (firm) => {
    const figure = page.getByRole("figure", { name: `What ${firm} saw` });
    await waitFor(figure.locator("pre"), "visible");
    const text = await figure.textContent();
    expect(!text.includes(title) && !text.includes("usual corner"), `${firm} saw the content`);
    expect(text.includes("none is in it"), `the page says of ${firm}: ${text.slice(-160)}`);
  }));
  await check("dismissed on the iPhone, it leaves the other shades within 5 s", async () => {
    await item(page, "iPhone", "Shade", title).getByRole("button", { name: `Dismiss ${title}` }).click();
    await onEach(DEVICES, (device) => waitFor(item(page, device, "Shade", title), "detached"));
  });
  await check("it stays in each inbox", () => onEach(DEVICES, (device) => waitFor(item(page, device, "Inbox", title), "visible")));
  await check("the ladder says that the iPhone acted", () => waitFor(page.locator(".ladder").filter({ hasText: "iPhone" }).locator(".rungs .done").filter({ hasText: "acted" }), "visible"));
}

async function faults(page) {
  await check("an empty title is refused beside its field", async () => {
    await post(page, "");
    await page.locator("#title[aria-invalid]").waitFor({ timeout: WITHIN });
    expect((await page.locator("#title-error").textContent()).trim(), "no message");
  });
}

async function sleepingPhone(page) {
  await check("a sleeping phone gets the fallback", async () => {
    await page.getByRole("button", { name: "Play: phone asleep" }).click();
    await page.getByText("swallowed it").waitFor({ timeout: 2 * WITHIN });
    await page.getByText("so the hub sent a visible push").waitFor({ timeout: 3 * WITHIN });
    await waitFor(item(page, "iPhone", "Shade", "Order 7 is ready"), "visible");
  });
}

async function main() {
  mkdirSync(OUT, { recursive: true });
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGS });
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: "light" });
  const seen = watch(page);
  await page.goto(BASE);
  await story(page);
  await check("axe finds nothing serious in light", () => axe(page));
  await shoot(page, "light", { width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: "dark" });
  await check("axe finds nothing serious in dark", () => axe(page));
  await shoot(page, "dark", { width: 1440, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
  await shoot(page, "narrow", { width: 390, height: 844 });
  await check("axe finds nothing serious where it is narrow", () => axe(page));
  await page.setViewportSize({ width: 1440, height: 900 });
  await sleepingPhone(page);
  await check("no error in the console", () => expect(!seen.errors.length, seen.errors.join("; ")));
  await check("no request to another host", () => expect(!seen.foreign.length, seen.foreign.join(", ")));
  await faults(page);
  await browser.close();
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
}

await main();
