// Kills the demo with its page open: the page says so, and recovers by itself with nothing lost.
// BECKON: the binary; DATA: the demo's folder; PORT: where it listens.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chromium } from "playwright-core";

const { BECKON, DATA, PORT } = process.env;
const BASE = `http://127.0.0.1:${PORT}`;
const DEVICES = ["iPhone", "Android", "Windows PC", "Browser"];
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

async function start() {
  const hub = spawn(BECKON, ["serve", "--demo", "--data", DATA, "--listen", `127.0.0.1:${PORT}`], { stdio: ["ignore", "pipe", "inherit"] });
  await once(hub.stdout, "data");
  return hub;
}

async function post(title) {
  const { appKey } = await (await fetch(`${BASE}/demo/state`)).json();
  const answer = await fetch(`${BASE}/v1/users/ada/notifications`, {
    method: "POST",
    headers: { Authorization: `Bearer ${appKey}`, "Content-Type": "application/json" },
    body: JSON.stringify({ priority: "High", payload: { visualContent: { title } } }),
  });
  if (answer.status !== 201) throw new Error(`posting answered ${answer.status}`);
}

const shade = (page, device, title) => page.getByRole("region", { name: device, exact: true }).getByRole("list", { name: "Shade" }).getByRole("listitem").filter({ hasText: title }).first();
const onAll = (page, title, timeout) => Promise.all(DEVICES.map((device) => shade(page, device, title).waitFor({ timeout })));

let hub = await start();
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGS });
try {
  const page = await browser.newPage();
  await page.goto(BASE);
  const before = `Before ${Date.now()}`;
  await post(before);
  await onAll(page, before, 5000);
  hub.kill("SIGKILL");
  await once(hub, "exit");
  const status = page.getByRole("status");
  await status.filter({ hasText: "The hub is gone; trying again" }).waitFor({ timeout: 5000 });
  hub = await start();
  await page.waitForFunction(() => !document.querySelector("[role=status]").textContent.trim(), null, { timeout: 10000 });
  await onAll(page, before, 1000);
  const after = `After ${Date.now()}`;
  await post(after);
  await onAll(page, after, 5000);
  console.log("killed with the page open: it said so, came back, and lost nothing");
  console.log("1 passed, 0 failed");
} finally {
  await browser.close();
  hub.kill("SIGTERM");
  await once(hub, "exit");
}
