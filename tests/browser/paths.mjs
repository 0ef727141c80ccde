// The console's two paths to the edge box, each through a relay of this test's: cut in mid-motion and put back. The tool goes
// on following, the console is never gone, the picture goes on, no command is judged twice, and nothing holds. With both cut the
// tool stands. A cut is a real one: no packet passes, and nobody is told.
//
// On a machine that is short of time the kit holds with no path cut at all. So each path is cut until one cut went by without a
// hold. Where none did, motion without a cut must have had a hold too; and then it is enough that in a cut neither commands
// nor pictures stayed away for as long as it takes to give a path up.
//
//   node tests/browser/paths.mjs [SECONDS OF A CUT]
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { arm, chromiumForTests, deliver, engage, now, open, picture, press, stands, stayEngaged, truth, until, up, withTest } from "./stage.mjs";

const CUT_MS = 1000 * Number(process.argv[2] ?? 3);
const CUTS_MAX = 5;
// A path is given up after 2 s of silence: what waits for that stays away for longer than this.
const AWAY_MS_MAX = 1000;
// Of the kit's modes, those in which the tool does not follow.
const HOLDING = ["Holding", "Paused", "SafeStop", "Stopped"];

/** One path's relay: as a router that forwards, which can be told to lose everything. */
class Relay {
  isCut = false;
  #places = new Map();

  /** Where a console finds what is at `port` of `address`. */
  async before(address, port) {
    const key = `${address}:${port}`;
    if (!this.#places.has(key)) this.#places.set(key, this.#place(address, port));
    return this.#places.get(key);
  }

  #place(address, port) {
    const near = createSocket("udp4");
    const flows = new Map();
    near.on("message", (bytes, from) => {
      const key = `${from.address}:${from.port}`;
      if (!flows.has(key)) flows.set(key, this.#flow(near, from, address, port));
      flows.get(key)(bytes);
    });
    near.unref();
    return new Promise((resolve) => near.bind(0, "127.0.0.1", () => resolve(near.address().port)));
  }

  /** Each console has a socket of its own towards the edge box, so that answers find back. */
  #flow(near, from, address, port) {
    const far = createSocket("udp4");
    far.on("message", (bytes) => this.isCut || near.send(bytes, from.port, from.address));
    far.bind(0, "127.0.0.1");
    far.unref();
    return (bytes) => this.isCut || far.send(bytes, port, address);
  }
}

/** Tells the surgeon's page the relays' addresses, as a site's router would be told; the edge box learns where a console is from
 *  the console's own checks. The certificates are signed: that is all that is believed of what passes here. */
async function throughRelays(page, relays) {
  await page.routeWebSocket(/\/api\/signal/, (browser) => {
    const server = browser.connectToServer();
    browser.onMessage((text) => server.send(rewritten(text, "offer", (sdp) => sdp.replace(/^a=candidate:.*\r\n/gm, ""))));
    server.onMessage((text) => void told(text, relays).then((signal) => browser.send(signal)));
  });
}

async function told(text, relays) {
  const signal = JSON.parse(text);
  if (signal.type !== "answer") return text;
  const lines = signal.sdp.split("\r\n").map(async (line) => {
    if (!line.startsWith("a=candidate:")) return line;
    const fields = line.split(" ");
    const port = await relays[signal.path ?? 0].before(fields[4], Number(fields[5]));
    fields.splice(4, 2, "127.0.0.1", port);
    return fields.join(" ");
  });
  return JSON.stringify({ ...signal, sdp: (await Promise.all(lines)).join("\r\n") });
}

function rewritten(text, type, change) {
  const signal = JSON.parse(text);
  return signal.type === type ? JSON.stringify({ ...signal, sdp: change(signal.sdp) }) : text;
}

/** Samples the page itself, so that no sample is missing: when commands were applied, and whether the page stood still. */
const watch = (page) =>
  page.evaluate((HOLDING) => {
    const seen = { gapMs: 0, commandsAwayMs: 0, picturesAwayMs: 0, stillMs: 0, holds: [], gone: [] };
    let lastMs = performance.now();
    const last = {};
    const away = (what, value, at) => {
      if (last[what]?.value !== value) last[what] = { value, at };
      return at - last[what].at;
    };
    const timer = setInterval(() => {
      const [at, snapshot] = [performance.now(), window.farhand.now];
      seen.stillMs = Math.max(seen.stillMs, at - lastMs);
      seen.gapMs = Math.max(seen.gapMs, away("applied", snapshot.applied, at));
      seen.commandsAwayMs = Math.max(seen.commandsAwayMs, away("newest", snapshot.newest, at));
      seen.picturesAwayMs = Math.max(seen.picturesAwayMs, away("frame", snapshot.frame, at));
      if (HOLDING.includes(snapshot.mode)) seen.holds.push(snapshot.why);
      if (snapshot.link !== "connected") seen.gone.push(snapshot.link);
      lastMs = at;
    }, 5);
    window.stopWatching = () => (clearInterval(timer), seen);
  }, HOLDING);
const watched = (page) => page.evaluate(() => window.stopWatching());

/** The hand goes to and fro, as long as it is told. */
async function moving(page, during) {
  const box = await page.getByRole("main", { name: "Picture" }).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  let over = false;
  const done = during().finally(() => (over = true));
  for (let step = 0; !over; step++) {
    await page.mouse.move(x + 60 * Math.sin(step / 20), y + 20 * Math.sin(step / 33));
    await sleep(12);
  }
  await page.mouse.up();
  return done;
}

const bothStand = async (page) => (await now(page)).paths.filter(({ stands, silentMs }) => stands && silentMs < 300).length === 2;

/** A stretch of motion in which that path is cut, long enough to be noticed and for a new connection to be tried, or in which
 *  none is; what the page saw. */
async function stretch(page, site, relay) {
  await until("both paths stand", () => bothStand(page), 60_000);
  await stayEngaged(page);
  const before = await now(page);
  const from = truth(site).tip_mm;
  let [travelled, seen] = [0, undefined];
  await moving(page, async () => {
    await sleep(300);
    await watch(page);
    if (relay) relay.isCut = true;
    for (const end = Date.now() + CUT_MS; Date.now() < end; await sleep(50)) {
      travelled = Math.max(travelled, Math.hypot(...truth(site).tip_mm.map((mm, axis) => mm - from[axis])));
    }
    if (relay) relay.isCut = false;
    await sleep(300);
    seen = await watched(page);
  });
  const after = await now(page);
  assert.deepEqual(seen.gone, [], "the console is never gone while one path lives");
  assert.ok(after.applied + after.rejected <= after.sent, `${after.sent} commands, but ${after.applied} were taken in and ${after.rejected} refused`);
  const wentOn = after.engagement === before.engagement && (after.flags & 4) !== 0 && travelled > 1;
  return { ...seen, wentOn, travelled };
}

const figures = ({ gapMs, commandsAwayMs, picturesAwayMs, stillMs, travelled, wentOn, holds }) => ({
  gap_ms: gapMs,
  commands_away_ms: commandsAwayMs,
  pictures_away_ms: picturesAwayMs,
  still_ms: stillMs,
  travelled_mm: travelled,
  went_on: wentOn,
  hold: holds[0] ?? null,
});

/** The path over which pictures come now, or the other, is cut and put back until nobody noticed. */
async function unnoticed(page, site, relays, withPictures) {
  const cuts = [];
  for (let tries = 0; tries < CUTS_MAX; tries++) {
    await until("both paths stand", () => bothStand(page), 60_000);
    const { path } = (await now(page)).paths.find(({ pictures }) => pictures === withPictures);
    const cut = await stretch(page, site, relays[path]);
    console.log(JSON.stringify({ path: path + 1, pictures: withPictures, ...figures(cut) }));
    if (cut.wentOn && cut.holds.length === 0) return;
    cuts.push(cut);
  }
  for (const what of ["commandsAwayMs", "picturesAwayMs"]) {
    assert.ok(cuts.some((cut) => cut[what] < AWAY_MS_MAX), `${what}: ${cuts.map((cut) => cut[what])}, in each of ${CUTS_MAX} cuts`);
  }
  for (let tries = 0; tries < CUTS_MAX; tries++) {
    const uncut = await stretch(page, site);
    console.log(JSON.stringify({ path: null, ...figures(uncut) }));
    if (uncut.holds.length > 0) return;
  }
  throw new Error(`each of ${CUTS_MAX} cuts was a hold, and motion without one was not`);
}

/** With both cut the kit holds by itself; with both back the surgeon goes on after release and press. */
async function bothCut(page, site, relays) {
  await stayEngaged(page);
  relays.forEach((relay) => (relay.isCut = true));
  await stands(site, "both paths are cut");
  relays.forEach((relay) => (relay.isCut = false));
  await page.keyboard.up("Space");
  await until("the console is back", async () => (await now(page)).link === "connected" && (await now(page)).stateAgeMs < 200, 60_000);
  await until("both paths stand again", () => bothStand(page), 60_000);
  await engage(page);
}

const browser = await chromiumForTests();
const site = await up(5);
let pages = [];
try {
  const relays = [new Relay(), new Relay()];
  const field = await open(browser, site.field, { width: 390, height: 844 });
  const bedside = await open(browser, site.bedside, { width: 390, height: 844 });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const surgeon = await context.newPage();
  await throughRelays(surgeon, relays);
  await surgeon.goto(withTest(site.operate));
  pages = [field, bedside, surgeon];
  await deliver(field);
  await until("the surgeon sees a picture", async () => (await now(surgeon))?.frame > 10);
  await arm(bedside, surgeon);
  await surgeon.bringToFront();
  await engage(surgeon);
  for (const withPictures of [true, false]) await unnoticed(surgeon, site, relays, withPictures);
  await picture(surgeon, "paths");
  await bothCut(surgeon, site, relays);
  console.log("either path died, and nobody noticed");
} catch (error) {
  for (const [number, page] of pages.entries()) await picture(page, `paths-failed-${number}`).catch(() => {});
  throw error;
} finally {
  await browser.close();
  await site.end();
}
