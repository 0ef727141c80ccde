// Farhand beside GStreamer's webrtcsink, in turns: the same recording, the same encoder told the same, and in the same Chromium the same
// reading of the stamp in the pixels. Each is started anew for its segment, and nothing of the other runs meanwhile: Farhand as a whole
// session with all its parts but the validators, webrtcsink by itself. `plain` is webrtcsink with its input as it comes (tests/webrtcsink). Prints one JSON
// object; `farhand bench video` reads it.
//
//   node tests/browser/beside.mjs SOURCE PEER        SOURCE: file:PATH?loop, PEER: tests/webrtcsink as built
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { getPriority, setPriority } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromiumForTests, open, undisturbed, until, up, watching } from "./stage.mjs";

const [source, program] = process.argv.slice(2);
const ROUNDS = 6;
const SEGMENT_MS = 10_000;
/** Of a segment: ten a second. */
const PICTURES_MIN = SEGMENT_MS / 100;
/** What connecting cost is over by then, and the two clocks have met. */
const SETTLED_MS = 2_000;
const LOOPBACK = "127.0.0.1";
const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const PAGE = '<!doctype html><style>body{margin:0}video{width:100vw;height:100vh;object-fit:contain;background:#000;display:block}</style><video autoplay muted playsinline></video><script type="module" src="page.js"></script>';

/** tests/webrtcsink/page.js with what it takes from the console, in one file. */
async function bundled() {
  const { build } = await import(createRequire(join(ROOT, "cloud/console/package.json")).resolve("vite"));
  const entry = join(ROOT, "tests/webrtcsink/page.js");
  const [{ output }] = await build({ configFile: false, logLevel: "error", build: { write: false, target: "es2022", lib: { entry, formats: ["es"] } } });
  return output[0].code;
}

/** Serves the page on loopback. */
async function served() {
  const script = await bundled();
  const server = createServer(({ url }, response) => {
    const [type, text] = url.startsWith("/page.js") ? ["text/javascript", script] : ["text/html", PAGE];
    response.writeHead(200, { "content-type": type }).end(text);
  });
  await new Promise((resolve) => server.listen(0, LOOPBACK, resolve));
  return server;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, LOOPBACK, resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const listens = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, LOOPBACK);
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });

/** What webrtcsink is given as well: the size at which Farhand's page shows the picture, and the niceness of its edge box. */
let size;
let niceness;

function segment(of, ages) {
  assert.ok(ages.length >= PICTURES_MIN, `${of}: only ${ages.length} pictures had a stamp`);
  return { of, ages_ms: ages };
}

async function farhand(browser) {
  const site = await up(1, { options: ["--video", source] });
  try {
    const surgeon = await watching(browser, site);
    const box = await surgeon.locator("video").first().boundingBox();
    size = { width: Math.round(box.width), height: Math.round(box.height) };
    niceness = getPriority(site.processes.edge);
    await sleep(SETTLED_MS);
    const from = await surgeon.evaluate(() => window.farhand.now.frame);
    await undisturbed(site, () => sleep(SEGMENT_MS));
    const samples = await surgeon.evaluate(() => window.farhand.samples);
    const stamped = samples.filter(({ frame, stampMs }) => frame > from && typeof stampMs === "number");
    return segment("farhand", stamped.map(({ stampMs }) => stampMs));
  } finally {
    for (const context of browser.contexts()) await context.close();
    await site.end();
  }
}

async function webrtcsink(browser, server, of, options = []) {
  const port = await freePort();
  const file = source.replace(/^file:/, "").replace(/\?.*$/, "");
  // Its signalling server says what it does on the standard output.
  const peer = spawn(program, [file, `${port}`, ...options], { stdio: ["ignore", "ignore", "inherit"] });
  const gone = new Promise((resolve) => peer.once("exit", resolve));
  setPriority(peer.pid, niceness);
  try {
    await until("webrtcsink is there", async () => {
      if (peer.exitCode !== null) throw new Error(`${program} ended with ${peer.exitCode}`);
      return listens(port);
    });
    const page = await open(browser, `http://${LOOPBACK}:${server.address().port}/?signalling=${port}`, size);
    await until("webrtcsink's picture comes", () => page.evaluate(() => window.takeSamples?.().length > 0));
    await sleep(SETTLED_MS);
    await page.evaluate(() => window.takeSamples());
    await sleep(SEGMENT_MS);
    return segment(of, await page.evaluate(() => window.takeSamples()));
  } finally {
    for (const context of browser.contexts()) await context.close();
    peer.kill("SIGTERM");
    await gone;
  }
}

const [browser, server] = [await chromiumForTests(), await served()];
try {
  const segments = [];
  for (let round = 0; round < ROUNDS; round++) {
    segments.push(await farhand(browser));
    segments.push(await webrtcsink(browser, server, "webrtcsink"));
    segments.push(await webrtcsink(browser, server, "plain", ["--plain"]));
  }
  console.log(JSON.stringify({ source, browser: `Chromium ${browser.version()}`, segments }));
} finally {
  await browser.close();
  server.close();
}
