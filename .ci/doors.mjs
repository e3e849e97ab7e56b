// The doors as strangers use them: Microsoft's own client and login library unmodified, an OpenID provider that nobody here
// wrote, openssl and curl; all over TLS against the real binary. Ends with an error at the first thing that is not so.
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import https from "node:https";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { ConfidentialClientApplication } from "@azure/msal-node";
import { Client } from "@microsoft/microsoft-graph-client";
import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

const { BECKON, FOLDER, PORT } = process.env;
const hubPort = Number(PORT);
const idPort = hubPort + 1;
const hub = `https://localhost:${hubPort}`;
const issuer = `https://localhost:${idPort}`;
const cert = `${FOLDER}/cert.pem`;
const key = `${FOLDER}/key.pem`;
const ca = `${FOLDER}/ca.pem`;
const host = "todo.example.com";

const run = (command, args, options = {}) =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["pipe", "pipe", "pipe"], ...options });
const say = (text) => console.log(`- ${text}`);

// The provider: its clients' own tokens have the client's id as `sub`, which makes each client a user.
async function signingKey(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), use: "sig", alg };
}

async function startProvider(alg) {
  const provider = new Provider(issuer, {
    jwks: { keys: [await signingKey(alg)] },
    clients: ["ada", "eve"].map((id) => ({
      client_id: id, client_secret: `${id}-secret`, grant_types: ["client_credentials"], redirect_uris: [], response_types: [],
      id_token_signed_response_alg: alg,
    })),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: "", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: 600, jwt: { sign: { alg } },
        }),
      },
    },
    enabledJWA: { clientAuthSigningAlgValues: ["RS256"] },
  });
  const server = https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }, provider.callback());
  server.listen(idPort, "localhost");
  await once(server, "listening");
  return server;
}

async function stopProvider(server) {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}

async function tokenOf(user, audience) {
  const form = new URLSearchParams({
    grant_type: "client_credentials", client_id: user, client_secret: `${user}-secret`, resource: audience,
  });
  const answer = await fetch(`${issuer}/token`, { method: "POST", body: form });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).access_token;
}

async function ask(path, bearer, { method = "GET", body, headers = {} } = {}) {
  const answer = await fetch(hub + path, {
    method,
    headers: { authorization: `Bearer ${bearer}`, ...(body && { "content-type": "application/json" }), ...headers },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, json: text ? JSON.parse(text) : null };
}

const notification = (title) => ({
  targetHostName: host,
  appNotificationId: title,
  payload: { visualContent: { title, body: "Notifications are Great!" } },
  targetPolicy: { platformTypes: ["windows", "ios", "android"] },
  priority: "High",
  displayTimeToLive: "60",
});

if (process.env.NODE_EXTRA_CA_CERTS !== ca) {
  mkdirSync(FOLDER, { recursive: true });
  const ec = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
  run("openssl", [...ec, "-subj", "/CN=our own authority", "-keyout", `${FOLDER}/ca-key.pem`, "-out", ca]);
  run("openssl", [...ec, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE",
    "-CA", ca, "-CAkey", `${FOLDER}/ca-key.pem`, "-keyout", key, "-out", cert]);
  writeFileSync(`${FOLDER}/config.toml`, `
[server]
listen = "127.0.0.1:${hubPort}"
[server.tls]
cert_file = "cert.pem"
key_file = "key.pem"
[store]
path = "data"
[[app]]
host = "${host}"
delegated_post = true
[app.identity]
issuer = "${issuer}"
audience = "urn:todo"
jwks_url = "${issuer}/jwks"
ca_file = "ca.pem"
`);
  // This process has to trust the authority as well, which it does by what its environment names at the start.
  const again = spawn(process.execPath, [process.argv[1]], {
    stdio: "inherit", env: { ...process.env, NODE_EXTRA_CA_CERTS: ca },
  });
  const [code] = await once(again, "exit");
  process.exit(code ?? 1);
}

let provider = await startProvider("RS256");
const beckon = spawn(BECKON, ["--config", `${FOLDER}/config.toml`, "serve"], { stdio: ["ignore", "pipe", "inherit"] });
process.on("exit", () => beckon.kill("SIGKILL"));
for await (const line of createInterface({ input: beckon.stdout })) {
  if (line.startsWith("listening on")) break;
}
const cli = (...args) => JSON.parse(run(BECKON, ["--config", `${FOLDER}/config.toml`, ...args, "--json"]));
const appKey = cli("key", "create", host).key;

// What an operator's own tools see.
for (const version of ["-tls1_2", "-tls1_3"]) {
  const seen = run("openssl", ["s_client", "-connect", `localhost:${hubPort}`, "-servername", "localhost", version,
    "-alpn", "h2,http/1.1", "-CAfile", ca, "-verify_return_error"], { input: "" });
  assert.match(seen, /ALPN protocol: http\/1\.1/);
  assert.match(seen, /Verify return code: 0 \(ok\)/);
}
assert.throws(() => run("openssl", ["s_client", "-connect", `localhost:${hubPort}`, "-tls1_1", "-CAfile", ca], { input: "" }));
assert.equal(run("curl", ["-sS", "--cacert", ca, `${hub}/healthz`, "-o", "/dev/null", "-w", "%{http_code} %{http_version}"]), "200 1.1");
assert.throws(() => run("curl", ["-sS", `${hub}/healthz`]), /certificate/i);
say("openssl speaks TLS 1.2 and 1.3 to it and not 1.1; curl takes it by its authority alone");

// A device that the hub's own token speaks for, as its subscription id is what the retired call names.
const userToken = cli("token", "mint", host, "ada", "--endpoint", "pc").token;
const registered = await ask("/v1/me/endpoints/pc", userToken, {
  method: "PUT", body: { platform: "windows", channel: { type: "none" } },
});
assert.equal(registered.status, 201);
const unsid = registered.json.userNotificationSubscriptionId;

// Microsoft's login library finds the token endpoint by itself; its client posts as it posted to the retired service.
const graphBy = (getAccessToken) => Client.initWithMiddleware({
  baseUrl: hub, defaultVersion: "beta", customHosts: new Set(["localhost"]), authProvider: { getAccessToken },
});
for (const authority of [`${hub}/contoso`, `${hub}/00000000-0000-4000-8000-000000000000`]) {
  const login = new ConfidentialClientApplication({
    auth: { clientId: host, clientSecret: appKey, authority, knownAuthorities: [`localhost:${hubPort}`] },
  });
  const got = await login.acquireTokenByClientCredential({ scopes: [`${hub}/.default`] });
  assert.equal(got.tokenType, "Bearer");
  const graph = graphBy(async () => got.accessToken);
  const posted = await graph.api("/me/notifications").header("X-UNS-ID", unsid).post(notification(authority));
  assert.equal(posted.payload.visualContent.title, authority);
  await assert.rejects(graph.api("/me/notifications").post(notification("nobody")), (error) => error.statusCode === 400);
  await assert.rejects(
    graph.api("/me/notifications").header("X-UNS-ID", "nobody").post(notification("nobody")), (error) => error.statusCode === 403,
  );
}
const found = await (await fetch(`${hub}/v2.0/.well-known/openid-configuration`)).json();
assert.equal(found.token_endpoint, `${hub}/oauth2/v2.0/token`);
const wrong = new ConfidentialClientApplication({
  auth: { clientId: host, clientSecret: "bk_x_y", authority: `${hub}/contoso`, knownAuthorities: [`localhost:${hubPort}`] },
});
await assert.rejects(wrong.acquireTokenByClientCredential({ scopes: [`${hub}/.default`] }), /invalid_client/);
await graphBy(async () => userToken).api("/me/notifications").post(notification("delegated"));
say("@azure/msal-node and @microsoft/microsoft-graph-client post with an app token and with a user token");

// The app's own provider.
// Not waited for by this process, which answers for the provider.
const told = await promisify(execFile)(BECKON, ["--config", `${FOLDER}/config.toml`, "check", "--json"]);
const checked = JSON.parse(told.stdout).value.find((it) => it.check === "identity");
assert.deepEqual([checked.ok, checked.message], [true, `${issuer} has a key that tokens may be signed with`]);
const ada = await tokenOf("ada", "urn:todo");
const fetched = Date.now();
const page = await ask("/v1/me/notifications", ada);
assert.equal(page.status, 200, JSON.stringify(page));
assert.deepEqual(page.json.value.map((it) => it.payload.visualContent.title).sort(),
  [`${hub}/00000000-0000-4000-8000-000000000000`, `${hub}/contoso`, "delegated"].sort());
assert.equal((await ask("/v1/me/notifications", ada, { headers: { "x-endpoint-id": "pc" } })).status, 200);
const eve = await tokenOf("eve", "urn:todo");
assert.deepEqual((await ask("/v1/me/notifications", eve)).json.value, []);
assert.equal((await ask("/v1/me/notifications", eve, { headers: { "x-endpoint-id": "pc" } })).status, 404);
assert.equal((await ask("/v1/me/notifications", await tokenOf("ada", "urn:another"))).status, 401);
assert.equal((await ask("/v1/users/ada/notifications", ada)).status, 403);
await graphBy(async () => ada).api("/me/notifications").post(notification("by the provider's token"));
say("tokens of oidc-provider speak for their users, for their audience alone");

await stopProvider(provider);
assert.equal((await ask("/v1/me/notifications", ada)).status, 200, "while it is down its tokens are good");
provider = await startProvider("ES256");
const anew = await tokenOf("ada", "urn:todo");
// Keys are fetched for an unknown one once a minute.
await sleep(Math.max(0, 61_000 - (Date.now() - fetched)));
assert.equal((await ask("/v1/me/notifications", anew)).status, 200, "its new key is fetched");
assert.equal((await ask("/v1/me/notifications", ada)).status, 401, "its old key is gone");
say("its tokens are good while it is down, and its keys are fetched anew when they have changed");

await stopProvider(provider);
beckon.kill("SIGTERM");
const [code] = await once(beckon, "exit");
assert.equal(code, 0);
console.log("the doors: all as it should be");
