// Opens the reference of the API as a reader would. BASE_URL: where `beckon serve` listens. The page must draw every operation
// of the description with all that is told of it, run under its own strict policy, and ask for nothing from elsewhere.
import assert from "node:assert/strict";

import { chromium } from "playwright-core";

const BASE = process.env.BASE_URL;
const WITHIN = 30000;
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const description = await (await fetch(`${BASE}/openapi.json`)).json();
const operations = Object.entries(description.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { operationId }]) => ({ path, method: method.toUpperCase(), operationId })));
assert.ok(operations.length > 40, `${operations.length} operations are described`);

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGS });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
const page = await context.newPage();
const seen = { errors: [], foreign: [] };
page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
page.on("pageerror", (error) => seen.errors.push(error.message));
page.on("request", (request) => {
  const { protocol, origin } = new URL(request.url());
  if (protocol !== "data:" && origin !== new URL(BASE).origin) seen.foreign.push(request.url());
});
// What the policy keeps out is told to the page, whoever catches the error.
await page.addInitScript(() => {
  globalThis.keptOut = [];
  document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => globalThis.keptOut.push(`${violatedDirective} ${blockedURI}`));
});

const answer = await page.goto(`${BASE}/docs/api`);
const policy = answer.headers()["content-security-policy"];
assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/);
assert.ok(!policy.includes("unsafe"), policy);
await page.locator(".opblock").first().waitFor({ timeout: WITHIN });

const drawn = await page.locator(".opblock-summary").evaluateAll((all) => all.map((one) => ({
  method: one.querySelector(".opblock-summary-method").textContent,
  path: one.querySelector(".opblock-summary-path").textContent.replaceAll("\u200b", ""),
})));
const names = (list) => list.map(({ method, path }) => `${method} ${path}`).sort();
assert.deepEqual(names(drawn), names(operations));

// Every one is opened, and closed again once its answers are drawn: all at once make a page of a hundred screens.
let answers = 0;
for (const block of await page.locator(".opblock").all()) {
  await block.locator(".opblock-summary-control").dispatchEvent("click");
  await block.locator(".responses-table tr.response").first().waitFor({ timeout: WITHIN });
  answers += await block.locator(".responses-table tr.response").count();
  await block.locator(".opblock-summary-control").dispatchEvent("click");
}
assert.ok(answers > 4 * operations.length, `${answers} answers are drawn`);

// One is tried: the request goes to the hub itself.
const health = page.locator("#operations-Open_to_anyone-getHealth");
await health.locator(".opblock-summary-control").click();
await health.getByRole("button", { name: "Try it out" }).click();
await health.getByRole("button", { name: "Execute" }).click();
await health.locator(".live-responses-table .response .microlight").filter({ hasText: "ok" }).first().waitFor({ timeout: WITHIN });

assert.deepEqual(await page.evaluate(() => globalThis.keptOut), []);
assert.deepEqual(seen, { errors: [], foreign: [] });
await browser.close();
console.log(`${drawn.length} operations with ${answers} answers are drawn; nothing was kept out, nothing came from elsewhere`);
