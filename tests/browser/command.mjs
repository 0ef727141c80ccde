// How long a movement of the hand takes to the kit's setpoint, in Chromium beside live video: this is the driving, and each
// command's own times by the page; `farhand bench command` reads the rest from what the session leaves behind, which is copied to
// the folder OUT. In turns with the hand, bare QUIC datagrams of the same size. The validators are halted meanwhile: what is measured
// does not wait for them, and the load is stated.
//
//   node tests/browser/command.mjs SOURCE OUT
import { execFile } from "node:child_process";
import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { BIN, arm, chromiumForTests, deliver, despiteFaults, engage, hold, now, open, stayEngaged, undisturbed, until, up, withTest } from "./stage.mjs";

const [source, out] = process.argv.slice(2);
const SEGMENTS = 9;
// Over before the validators' supervisors miss their status, after 15 s.
const SEGMENT_S = 5;
// For their status.
const REST_MS = 2_000;
// A mouse of 125 Hz.
const EVERY_MS = 8;
// The hand goes round, a turn in two seconds: about 12 mm/s of hand, far from every limit.
const RADIUS_PX = 15;
const TURN_MS = 2_000;
const KIND_COMMAND = 1;
const run = promisify(execFile);
/** Validators halted while it was measured, at the least. */
let halted = Number.POSITIVE_INFINITY;

/** In the page, before anything of it: which movements each command brings first, by their own times. The page is none the wiser. */
function watch(kindCommand) {
  const commands = [];
  let [moved, newest] = [[], Number.NEGATIVE_INFINITY];
  // A movement comes by both events, most often by the raw one first; just before an animation frame it is the other way round.
  const note = (event) => {
    const each = event.getCoalescedEvents();
    const fresh = (each.length > 0 ? each : [event]).map(({ timeStamp }) => timeStamp).filter((at) => at > newest);
    moved.push(...fresh);
    newest = Math.max(newest, ...fresh);
  };
  for (const name of ["pointerrawupdate", "pointermove"]) window.addEventListener(name, note, { capture: true });
  const { send } = RTCDataChannel.prototype;
  RTCDataChannel.prototype.send = function (data) {
    const sentMs = performance.now();
    send.call(this, data);
    if (this.label !== "control" || data[0] !== kindCommand) return;
    const view = new DataView(data.buffer, data.byteOffset);
    if (moved.length > 0) {
      commands.push({ token: Number(view.getBigUint64(24, true)), sequence: Number(view.getBigUint64(32, true)), moved_ms: moved, sent_ms: sentMs });
    }
    moved = [];
  };
  window.takeCommands = () => commands.splice(0);
  // Unix time at which this page's clock is 0, ms: by the moments at which the system's clock begins another millisecond.
  window.zeroMs = () => {
    const zeros = Array.from({ length: 41 }, () => {
      const from = Date.now();
      let at = from;
      while (at === from) at = Date.now();
      return at - performance.now();
    });
    return zeros.sort((a, b) => a - b)[20];
  };
}

async function surgeonsPage(browser, site) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(watch, KIND_COMMAND);
  await page.goto(withTest(site.operate));
  return page;
}

/** Moves the hand for a segment, at the mouse's rate, waiting for nothing. */
async function move(page, cdp, segment) {
  const box = await page.getByRole("main", { name: "Picture" }).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x + RADIUS_PX, y);
  await page.mouse.down();
  await page.evaluate(() => window.takeCommands());
  const began = performance.now();
  for (let step = 1; step * EVERY_MS <= SEGMENT_S * 1000; step++) {
    await sleep(Math.max(0, began + step * EVERY_MS - performance.now()));
    const angle = (2 * Math.PI * step * EVERY_MS) / TURN_MS;
    const to = { x: x + RADIUS_PX * Math.cos(angle), y: y + RADIUS_PX * Math.sin(angle) };
    void cdp.send("Input.dispatchMouseEvent", { type: "mouseMoved", button: "left", buttons: 1, ...to }).catch(() => {});
  }
  await sleep(200);
  const commands = await page.evaluate(() => window.takeCommands());
  await page.mouse.up();
  return commands.map((command) => ({ ...command, segment }));
}

const datagrams = (segment) =>
  run("nice", ["-n", "-10", join(BIN, "farhand"), "bench", "datagrams", "--seconds", `${SEGMENT_S}`, "--samples", join(out, `datagrams-${segment}.txt`)]);

async function alone(site, what) {
  const { result, halted: now } = await undisturbed(site, what);
  halted = Math.min(halted, now);
  await sleep(REST_MS);
  return result;
}

async function measure(site, surgeon) {
  const cdp = await surgeon.context().newCDPSession(surgeon);
  const commands = [];
  await engage(surgeon);
  for (let segment = 0; segment < SEGMENTS; segment++) {
    await stayEngaged(surgeon);
    commands.push(...(await alone(site, () => move(surgeon, cdp, segment))));
    await alone(site, () => datagrams(segment));
  }
  await surgeon.keyboard.up("Space");
  return commands;
}

const browser = await chromiumForTests();
const site = await up(1, { stamp: false, options: ["--video", source] });
try {
  const field = await open(browser, site.field, { width: 390, height: 844 });
  const bedside = await open(browser, site.bedside, { width: 390, height: 844 });
  const surgeon = await surgeonsPage(browser, site);
  await deliver(field);
  await field.context().close();
  await until("the surgeon sees a picture", async () => (await now(surgeon))?.frame > 10);
  await arm(bedside, surgeon);
  await surgeon.bringToFront();
  const zeros = [await surgeon.evaluate(() => window.zeroMs())];
  const { result: commands } = await despiteFaults(bedside, surgeon, () => measure(site, surgeon));
  zeros.push(await surgeon.evaluate(() => window.zeroMs()));
  const { frame } = await now(surgeon);
  await hold(surgeon, "Close the operation", 2_000);
  await until("the record is sealed", () => existsSync(site.bundle), 90_000);
  for (const [from, to] of [[site.bundle, "bench.mcap"], [join(site.folder, "kit.prom"), "kit.prom"], [join(site.folder, "logs/kit.log"), "kit.log"], [join(site.folder, "logs/edge.log"), "edge.log"]]) {
    copyFileSync(from, join(out, to));
  }
  console.log(JSON.stringify({ source, browser: `Chromium ${browser.version()}`, segments: SEGMENTS, segment_s: SEGMENT_S, halted, frame, zeros_ms: zeros, commands }));
} finally {
  await browser.close();
  await site.end();
}
