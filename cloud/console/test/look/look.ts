/**
 * Looks at every page in its main states: real Chromium, real WebRTC, the built pages under the server's policy, a kit and an edge
 * box in a tab. Writes screenshots to `$LOOK_OUT` (or a temporary folder) and fails on what axe finds serious, on what the
 * pages log as errors, and where they do not say what they should.
 */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";
import { build } from "vite";
import { type Snapshot, type TestSurface } from "../../src/testsurface";
import { World, made } from "./server";

const OUT = process.env["LOOK_OUT"] ?? mkdtempSync(join(tmpdir(), "farhand-look-"));
const SIZES = { wide: { width: 1440, height: 900 }, small: { width: 1280, height: 720 }, phone: { width: 390, height: 844 } } as const;
const faults: string[] = [];

function must(what: string, holds: boolean): void {
  console.log(holds ? "ok  " : "FAIL", what);
  if (!holds) faults.push(what);
}

async function look(page: Page, name: string, sizes: readonly (keyof typeof SIZES)[] = ["wide", "phone"]): Promise<void> {
  for (const size of sizes) {
    await page.setViewportSize(SIZES[size]);
    await page.waitForTimeout(400);
    await page.screenshot({ path: join(OUT, `${name}-${size}.png`) });
    const { violations } = await new AxeBuilder({ page }).analyze();
    const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 100)).join(" | ")}`);
    must(`${name} ${size}: axe finds nothing serious${told.length > 0 ? ` (${told.join("; ")})` : ""}`, serious.length === 0);
  }
  await page.setViewportSize(SIZES.wide);
}

async function edgePage(context: BrowserContext, send: ReadonlyMap<string, (text: string) => void>, { threeArms = false, stereo = false } = {}): Promise<Page> {
  const entry = new URL("./edge.ts", import.meta.url).pathname;
  const built = await build({ logLevel: "error", configFile: false, build: { write: false, minify: false, target: "es2022", lib: { entry, formats: ["iife"], name: "edgeTab" } } });
  const [{ output }] = built as unknown as [{ output: { code: string }[] }];
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`edge tab: ${error.message}`));
  await page.route("**/edge-tab", (route) => route.fulfill({ contentType: "text/html", body: "<title>edge</title>" }));
  await page.goto(`http://127.0.0.1:${world.port}/edge-tab`);
  await page.exposeFunction("toConsole", (id: string, text: string) => send.get(id)?.(text));
  await page.addScriptTag({ content: output[0]!.code });
  const seeds = made["seeds"] as Record<string, string>;
  await page.evaluate((setting) => window.beginEdge(setting), { session: made["session"] as string, edgeSeed: seeds["edge"]!, kitSeed: seeds["kit"]!, threeArms, stereo });
  return page;
}

async function newPage(browser: Browser, name: string): Promise<Page> {
  const context = await browser.newContext({ reducedMotion: "reduce", viewport: SIZES.wide });
  const page = await context.newPage();
  page.on("pageerror", (error) => faults.push(`${name}: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && !/ERR_|404|WebSocket/.test(message.text()) && faults.push(`${name}: ${message.text()}`));
  return page;
}

const world = new World();
await world.start();
mkdirSync(OUT, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-features=WebRtcHideLocalIpsWithMdns"],
});
const only = process.argv.slice(2);
const wanted = (name: string) => only.length === 0 || only.includes(name);

try {
  if (wanted("field")) await field();
  if (wanted("audit")) await audit();
  if (wanted("operate")) await operate();
  if (wanted("arms")) await arms();
  if (wanted("stereo")) await stereo();
} finally {
  await browser.close();
  world.server.closeAllConnections();
  world.server.close();
}
console.log(`screenshots in ${OUT}`);
for (const fault of faults) console.error("FAULT", fault);
process.exitCode = faults.length === 0 ? 0 : 1;

async function field(): Promise<void> {
  const page = await newPage(browser, "field");
  await page.goto(world.link("field"));
  await page.getByRole("button", { name: "Dispatch" }).waitFor();
  await look(page, "field-start");
  await page.getByRole("button", { name: "Dispatch" }).click();
  for (let i = 0; i <= 20; i++) {
    const t = i / 30;
    world.flight = { phase: "cruise", lat_deg: 47.37 + 0.02 * t, lon_deg: 8.54 + 0.03 * t + 0.004 * Math.sin(9 * t), alt_m: Math.min(80, 900 * t), progress: t };
    world.tell();
  }
  await page.getByText("on its way").waitFor();
  must("field: Dispatch was signed", world.signedSteps.length === 1);
  await look(page, "field-flying");
  [world.done, world.flight] = [4, undefined];
  world.tell();
  await page.getByRole("button", { name: "Bring up" }).click();
  await page.getByRole("button", { name: "Pair" }).waitFor();
  must("field: Bring up was signed", world.signedSteps.length === 2);
  world.failed = "Self-test: joint 3 did not reach its stop (0.41 of 0.52 rad). Take the drape off the arm and try again.";
  world.tell();
  await page.getByRole("button", { name: "Pair again" }).waitFor();
  await look(page, "field-failed");
  world.failed = undefined;
  await page.getByRole("button", { name: "Pair again" }).click();
  await page.getByText("All done").waitFor();
  await look(page, "field-done");
}

async function audit(): Promise<void> {
  const page = await newPage(browser, "audit");
  await page.goto(world.link("audit"));
  await page.getByText("No session has been sealed yet").waitFor();
  await look(page, "audit-empty");
  world.bundles = [
    { name: "farhand-5fb1c0d2-20261121T074501Z.mcap", bytes: 48_123_456, sealed_at_ms: 1_795_247_101_000 },
    { name: "farhand-00aa31fe-20261120T101500Z.mcap", bytes: 912_000, sealed_at_ms: 1_795_169_700_000 },
  ];
  const trust = { given: true, sha256: made["fingerprint"], ledger: "00112233445566778899aabbccddeeff" };
  const people = ["surgeon", "bedside", "field"].map((role) => ({ role, pseudonym: `${role}-1`, key: made["surgeon"] }));
  const times = { opened: "2026-11-21T07:40:00Z", opened_uncertainty_us: 2000, first: "2026-11-21T07:40:03Z", last: "2026-11-21T07:44:58Z", uncertainty_us: 2000 };
  const report = {
    ...{ verdict: "holds", exit: 0, unreadable: null, bytes: 48_123_456, trust },
    session: { id: made["session"], people, machines: { edge: made["edge"], kit: made["kit"] }, times, binding: "link", software: [{ name: "farhand-edge", sha256: made["kit"] }], closed: "closed by the bedside" },
    leaves: { total: 41_233, root: made["kit"], redacted: 0, redactions: [], redactions_left_out: 0 },
    commands: { sent: 12_905, recorded: 12_902, taken_in: 12_880, refused: 22, lost_to_edge: 3, lost_to_kit: 0, blind: 12, unauthentic: 0 },
    frames: { recorded: 3_610, pictures: 3_610, pictures_left_out: 0, confirmed: 3_588, unchecked: 0 },
    ...{ checkpoints: 2_960, statements: 214, surgeon_segments: 1_204, kit_segments: 1_204, display_reports: 240, findings: [], findings_left_out: 0 },
  };
  world.report = report;
  await page.getByRole("button", { name: "Verify farhand-5fb1c0d2-20261121T074501Z.mcap" }).click();
  await page.getByText("Holds: nothing was altered").waitFor();
  await look(page, "audit-holds");
  const found = [
    { leaf: 2201, severity: "violation", what: "command 1042 under token 3 is logged with another hash than the surgeon's list names" },
    { leaf: 40_002, severity: "violation", what: "the tree's root at checkpoint 12 is another" },
    { leaf: 812, severity: "note", what: "frames 812 to 815 lie in a gap: the encoder restarted" },
  ];
  world.report = { ...report, exit: 1, verdict: "does_not_hold", findings: found };
  await page.getByRole("button", { name: "Verify farhand-00aa31fe-20261120T101500Z.mcap" }).click();
  await page.getByText("Does not hold.").waitFor();
  await look(page, "audit-broken");
  const stranger = await newPage(browser, "audit with another trust root");
  await stranger.goto(world.link("audit", { trust: "A".repeat(43) }));
  await stranger.getByText("Not the one that your link names").waitFor();
  await look(stranger, "audit-stranger");
}

async function operate(): Promise<void> {
  const send = new Map<string, (text: string) => void>();
  const sockets = new Map<string, { close(): Promise<void> }>();
  const edge = await edgePage(await browser.newContext(), send);
  const open = async (name: "operate" | "bedside") => {
    const page = await newPage(browser, name);
    await page.routeWebSocket(/\/api\/signal/, (socket) => {
      if (cloudDown) return void socket.close();
      sockets.set(name, socket);
      send.set(name, (text) => socket.send(text));
      socket.onMessage((text) => void edge.evaluate(([id, said]) => window.edge.heard(id!, said!), [name, String(text)]));
    });
    return page;
  };
  let cloudDown = false;
  const surgeon = await open("operate");
  await surgeon.addInitScript(noteHashes);
  world.open = false;
  await surgeon.goto(world.link("operate", { test: "stamp" }));
  await surgeon.getByText("not open yet").waitFor();
  await look(surgeon, "operate-gate");
  world.open = true;
  const word = surgeon.locator(".state .word");
  const says = async (page: Page, text: string) => {
    await page.locator(".state .word").filter({ hasText: text }).waitFor({ timeout: 15_000 });
    must(`${page === surgeon ? "operate" : "bedside"}: says "${text}"`, true);
  };
  const now = () => surgeon.evaluate(() => (window as unknown as { farhand: TestSurface }).farhand.now);
  await says(surgeon, "Viewing");
  await surgeon.waitForFunction(() => "hashed" in window);
  const [rtpTimestamp, hash] = await surgeon.evaluate(() => (window as unknown as { hashed: [number, string] }).hashed);
  must("operate: the browser's picture hash is the sender's", await edge.evaluate(([rtp, hex]) => window.edge.align(rtp, hex), [rtpTimestamp, hash] as const));
  const bedside = await open("bedside");
  await bedside.goto(world.link("bedside"));
  await says(bedside, "Not armed");
  await surgeon.waitForTimeout(1500);
  await look(surgeon, "operate-viewing");
  await look(bedside, "bedside-not-armed");
  const reached = new Set<string>();
  for (let i = 0; i < 8; i++) {
    await bedside.keyboard.press("Tab");
    reached.add(await bedside.evaluate(() => document.querySelector("button:focus")?.textContent ?? "no button"));
  }
  must(`bedside: Tab reaches every button (${[...reached].join(", ")})`, ["Sign arming", "Home", "Withdraw", "Close", "Stop"].every((name) => reached.has(name)));
  await bedside.getByRole("button", { name: "Sign arming" }).click();
  await bedside.getByText("You have signed").waitFor();
  await look(bedside, "bedside-signed", ["phone"]);
  await surgeon.getByRole("button", { name: "Sign arming" }).click();
  await surgeon.getByRole("button", { name: "Take control" }).click();
  await says(surgeon, "Armed");
  await look(surgeon, "operate-armed", ["wide", "small", "phone"]);
  await look(bedside, "bedside-armed", ["phone"]);
  const video = (await surgeon.locator("video").boundingBox())!;
  await surgeon.mouse.move(video.x + video.width / 2, video.y + video.height / 2);
  await surgeon.keyboard.down("Space");
  await says(surgeon, "Engaged");
  await surgeon.mouse.down();
  for (let i = 0; i < 20; i++) await surgeon.mouse.move(video.x + video.width / 2 + 6 * i, video.y + video.height / 2 - 2 * i);
  await look(surgeon, "operate-engaged", ["wide"]);
  await surgeon.mouse.up();
  await surgeon.keyboard.up("Space");
  const figures = await now();
  console.log(`glass to glass ${figures.glassToGlassMs?.toFixed(1)} ms, by the stamp ${figures.stampMs?.toFixed(1)}; loop ${figures.loopMs?.toFixed(1)} ms`);
  must("operate: commands were taken in", (figures.applied ?? 0) > 20);
  must("operate: pictures are those that were sent", figures.picturesAsSent > 30 && figures.picturesOther === 0);
  must("operate: lists and reports were signed", figures.segments > 3 && figures.reports > 1);
  must("operate: the stamp agrees with the record", Math.abs((figures.stampMs ?? 1e9) - (figures.glassToGlassMs ?? 0)) < 60);
  must("operate: both paths stand", (await now()).paths.filter(({ stands }) => stands).length === 2);
  await edge.evaluate(() => window.edge.cutSecond(true));
  await surgeon.getByText("One path to the edge box is down").waitFor();
  await look(surgeon, "operate-one-path", ["wide", "small"]);
  await edge.evaluate(() => window.edge.cutSecond(false));
  await surgeon.getByText("One path to the edge box is down").waitFor({ state: "detached" });
  await edge.evaluate(() => (window.edge.picture.frozen = true));
  await says(surgeon, "Picture frozen");
  await look(surgeon, "operate-frozen", ["wide"]);
  await edge.evaluate(() => (window.edge.picture.frozen = false));
  cloudDown = true;
  await Promise.all([...sockets.values()].map((socket) => socket.close()));
  await surgeon.getByText("The cloud is offline").waitFor();
  await look(surgeon, "operate-cloud-offline", ["wide"]);
  cloudDown = false;
  await edge.evaluate(() => (window.edge.recording = false));
  await surgeon.getByText("behind. The tool holds").waitFor();
  await look(surgeon, "operate-record-behind", ["wide"]);
  await edge.evaluate(() => (window.edge.recording = true));
  await edge.evaluate(() => (window.edge.silent = true));
  await says(surgeon, "Holding");
  await edge.evaluate(() => (window.edge.silent = false));
  await surgeon.keyboard.press("Escape");
  await says(surgeon, "Stopped");
  await look(surgeon, "operate-stopped");
  await look(bedside, "bedside-stopped");
  await bedside.getByRole("button", { name: "Sign clearing" }).click();
  await surgeon.getByRole("button", { name: "Sign clearing" }).click();
  await says(bedside, "Armed");
  await surgeon.keyboard.press("?");
  await look(surgeon, "operate-keys", ["wide"]);
  await surgeon.getByRole("button", { name: "Close", exact: true }).click();
  await reloads(surgeon, edge, says, now);
  await surgeon.getByRole("button", { name: "Close the operation" }).click({ delay: 700 });
  must("operate: a short press closes nothing", (await now()).closed === false);
  await surgeon.getByRole("button", { name: "Close the operation" }).focus();
  await surgeon.keyboard.down("Enter");
  await surgeon.waitForTimeout(2000);
  await surgeon.keyboard.up("Enter");
  await says(surgeon, "Closed");
  const unlisted = await edge.evaluate(() => window.edge.unlisted);
  must(`operate: every command is listed before it closes (${unlisted} are not)`, unlisted === 0);
  await look(surgeon, "operate-closed");
  world.sealed = "3f3af1ecebbd1410ab417ec0d27bbfcb.mcap";
  await surgeon.getByText("Its record is sealed").waitFor();
  await says(bedside, "Closed");
  await bedside.getByText("Its record is sealed").waitFor();
  await look(bedside, "bedside-closed");
  must("operate: says so in red only while stopped", (await word.textContent()) === "Closed");
}

/** Opens pages that the edge box in that tab hears. */
function opener(edge: Page, send: Map<string, (text: string) => void>): (name: "operate" | "bedside") => Promise<Page> {
  return async (name) => {
    const page = await newPage(browser, name);
    await page.routeWebSocket(/\/api\/signal/, (socket) => {
      send.set(name, (text) => socket.send(text));
      socket.onMessage((text) => void edge.evaluate(([id, said]) => window.edge.heard(id!, said!), [name, String(text)]));
    });
    await page.goto(world.link(name, { test: "1" }));
    return page;
  };
}

/** A surgeon who sees what an edge box of this kind shows, and what is asked of the page in tests. */
async function surgeonOf(kind: { threeArms?: boolean; stereo?: boolean }) {
  const send = new Map<string, (text: string) => void>();
  const edge = await edgePage(await browser.newContext(), send, kind);
  const open = opener(edge, send);
  world.open = true;
  const surgeon = await open("operate");
  const says = (text: string) => surgeon.locator(".state .word").filter({ hasText: text }).waitFor({ timeout: 15_000 });
  const now = () => surgeon.evaluate(() => (window as unknown as { farhand: TestSurface }).farhand.now);
  return { edge, open, surgeon, says, now };
}

/** Goal: a kit of three arms is shown and driven arm by arm; the endoscope while its key is held. */
async function arms(): Promise<void> {
  const { open, surgeon, says, now } = await surgeonOf({ threeArms: true });
  const hand = () => surgeon.locator(".arm[aria-pressed=true] .name").textContent();
  await says("Viewing");
  await look(surgeon, "arms-viewing", ["wide"]);
  const bedside = await open("bedside");
  await bedside.getByRole("button", { name: "Sign arming" }).click();
  await surgeon.getByRole("button", { name: "Sign arming" }).click();
  await surgeon.getByRole("button", { name: "Take control" }).click();
  await says("Armed");
  await look(surgeon, "arms-armed", ["wide", "small", "phone"]);
  const video = (await surgeon.locator("video").boundingBox())!;
  const [x, y] = [video.x + video.width / 2, video.y + video.height / 2];
  /** How plain the ghost was at the most. */
  const drag = async () => {
    let ghost = 0;
    await surgeon.mouse.move(x, y);
    await surgeon.mouse.down();
    for (let i = 0; i < 20; i++) {
      await surgeon.mouse.move(x + 8 * i, y - 3 * i);
      ghost = Math.max(ghost, (await now()).ghost);
    }
    await surgeon.mouse.up();
    return ghost;
  };
  await surgeon.keyboard.down("Space");
  await says("Engaged: PSM1 follows you");
  await drag();
  await surgeon.keyboard.press("2");
  await says("Engaged: PSM2 follows you");
  must("arms: an instrument has a ghost", (await drag()) > 0);
  await look(surgeon, "arms-second", ["wide"]);
  await surgeon.keyboard.down("c");
  await says("Engaged: ECM follows you");
  const before = (await now()).setpointM!;
  must("arms: an endoscope has none", (await drag()) === 0);
  await look(surgeon, "arms-endoscope", ["wide"]);
  const after = (await now()).setpointM!;
  must("arms: while its key is held the hand moves the endoscope, in its own view", after[0]! - before[0]! > 0.001 && after[1]! - before[1]! > 0.0005);
  await surgeon.keyboard.up("c");
  await says("Engaged: PSM2 follows you");
  await surgeon.keyboard.up("Space");
  await surgeon.getByRole("button", { name: "PSM1" }).click();
  must(`arms: a card takes the hand to its arm (${await hand()})`, (await hand()) === "PSM1");
  await surgeon.keyboard.press("Escape");
  await says("Stopped");
  await look(surgeon, "arms-stopped", ["wide"]);
  await look(bedside, "arms-bedside", ["phone"]);
}

/** Goal: of two eyes one picture is shown, or both; whichever it is, what is drawn lies over the left one's. */
async function stereo(): Promise<void> {
  const { edge, open, surgeon, says, now } = await surgeonOf({ stereo: true });
  await says("Viewing");
  const bedside = await open("bedside");
  await bedside.getByRole("button", { name: "Sign arming" }).click();
  await surgeon.getByRole("button", { name: "Sign arming" }).click();
  await surgeon.getByRole("button", { name: "Take control" }).click();
  await says("Armed");
  const key = async (name: string) => {
    await surgeon.keyboard.press(name);
    await surgeon.waitForTimeout(300);
  };
  must("stereo: the left eye's picture is shown at first", (await now()).stereo && (await now()).eyes === "left");
  await look(surgeon, "stereo-left", ["wide", "small", "phone"]);
  for (const [form, size] of Object.entries({ tall: SIZES.wide, wide: { width: 1800, height: 640 } })) {
    await surgeon.setViewportSize(size);
    await surgeon.waitForTimeout(400);
    const place = (await surgeon.locator(".screens").boundingBox())!;
    const seen = async () => edge.evaluate(extents, (await surgeon.locator(".screens").screenshot()).toString("base64"));
    eyes(`stereo, ${form} place, left`, await seen(), place, 1);
    await marks(surgeon, `stereo-${form}-left`, place.x + place.width / 2 + 60, place.y + place.height / 2 + 20);
    await key("b");
    must(`stereo, ${form} place: B shows both`, (await now()).eyes === "both" && (await surgeon.locator(".panel.left").getByText("Both").count()) === 1);
    eyes(`stereo, ${form} place, both`, await seen(), place, 2);
    await marks(surgeon, `stereo-${form}-both`, place.x + place.width / 2 - 60, place.y + place.height / 2 + 20);
    await key("b");
    must(`stereo, ${form} place: B again shows the left eye's`, (await now()).eyes === "left");
    eyes(`stereo, ${form} place, left again`, await seen(), place, 1);
  }
  await surgeon.setViewportSize(SIZES.wide);
  await key("b");
  await look(surgeon, "stereo-both", ["wide", "small"]);
  await key("?");
  await surgeon.getByText("both eyes, side by side").waitFor();
  await look(surgeon, "stereo-keys", ["small"]);
}

type Extent = readonly [left: number, right: number, top: number, bottom: number];

/** Each eye's picture keeps its form of 16 to 9, and what is shown lies in the middle of its place, as large as that allows. */
function eyes(name: string, { left, right }: { left?: Extent; right?: Extent }, place: { width: number; height: number }, shown: 1 | 2): void {
  const height = Math.min(place.height, (place.width * 9) / 16 / shown);
  const width = (height * 16) / 9;
  const begins = (place.width - shown * width) / 2;
  // What is above is under the stamp.
  const is = (seen: Extent | undefined, from: number) =>
    seen !== undefined && Math.abs(seen[0] - from) < 3 && Math.abs(seen[1] - from - width) < 3 && Math.abs(seen[3] - (place.height + height) / 2) < 3;
  must(`${name}: the left eye's picture lies where it should (${left})`, is(left, begins));
  // Colours run into each other where the eyes meet.
  const none = right === undefined || (right[0] > begins + width - 3 && right[1] < begins + width + 3);
  must(`${name}: the right eye's ${shown === 2 ? "lies beside it" : "is not seen"} (${right})`, shown === 2 ? is(right, begins + width) : none);
}

/** What is marked is drawn where the pointer is, and lies there. */
async function marks(surgeon: Page, name: string, x: number, y: number): Promise<void> {
  await surgeon.keyboard.press("m");
  await surgeon.locator(".marking").waitFor();
  await surgeon.waitForTimeout(300);
  await surgeon.mouse.move(x, y);
  await surgeon.mouse.down();
  for (let px = 10; px <= 40; px += 10) await surgeon.mouse.move(x, y + px);
  const besidePx = async () => {
    await surgeon.waitForTimeout(300);
    const [atX, atY] = (await surgeon.locator("canvas.regions").evaluate(inked)) ?? [Number.NaN, Number.NaN];
    return Math.hypot(atX - x, atY - y);
  };
  const drawn = await besidePx();
  await surgeon.screenshot({ path: join(OUT, `${name}-marking.png`) });
  await surgeon.mouse.up();
  const lies = await besidePx();
  must(`${name}: a mark is drawn where the pointer is, and lies there (${drawn.toFixed(1)} and ${lies.toFixed(1)} px beside)`, drawn < 3 && lies < 6);
  await surgeon.keyboard.press("m");
  await surgeon.keyboard.press("m");
}

/** In a page: where a screenshot holds each eye's colour. */
async function extents(png: string): Promise<{ left?: Extent; right?: Extent }> {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const { width, height } = image;
  const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d")!;
  pen.drawImage(image, 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  const seen: { left?: Extent; right?: Extent } = {};
  for (let i = 0; i < data.length; i += 4) {
    const [red, blue] = [data[i]!, data[i + 2]!];
    if (Math.abs(red - blue) < 25) continue;
    const eye = red > blue ? "left" : "right";
    const [x, y] = [(i / 4) % width, Math.floor(i / 4 / width)];
    const [from, to, top, bottom] = seen[eye] ?? [x, x, y, y];
    seen[eye] = [Math.min(from, x), Math.max(to, x), Math.min(top, y), Math.max(bottom, y)];
  }
  return seen;
}

/** In the page: the middle of what is drawn on a canvas, on the page; undefined: nothing is. */
function inked(element: Element): readonly [x: number, y: number] | undefined {
  const canvas = element as HTMLCanvasElement;
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d")!.getImageData(0, 0, width, height);
  const [xs, ys] = [[width, 0], [height, 0]] as [[number, number], [number, number]];
  for (let i = 3; i < data.length; i += 4) {
    if (data[i] === 0) continue;
    const [x, y] = [((i - 3) / 4) % width, Math.floor(i / 4 / width)];
    [xs[0], xs[1], ys[0], ys[1]] = [Math.min(xs[0], x), Math.max(xs[1], x), Math.min(ys[0], y), Math.max(ys[1], y)];
  }
  const around = canvas.getBoundingClientRect();
  return xs[0] > xs[1] ? undefined : [around.left + (xs[0] + xs[1] + 1) / 2 / devicePixelRatio, around.top + (ys[0] + ys[1] + 1) / 2 / devicePixelRatio];
}

/** Goal: a page that is loaded again goes on with its chain; a second tab of the same link does not come in. */
async function reloads(surgeon: Page, edge: Page, says: (page: Page, text: string) => Promise<void>, now: () => Promise<Snapshot>): Promise<void> {
  const before = (await now()).segments;
  await surgeon.reload();
  await surgeon.getByRole("button", { name: "Take control" }).click();
  await says(surgeon, "Armed");
  await surgeon.keyboard.down("Space");
  await says(surgeon, "Engaged");
  await surgeon.keyboard.up("Space");
  await surgeon.waitForTimeout(500);
  const [faults, segments] = await edge.evaluate(() => [window.edge.chainFaults, Number(window.edge.segments)] as const);
  must(`operate: the chain goes on over a reload (${before} to ${segments}, ${faults} faults)`, segments > before && faults === 0);
  const second = await surgeon.context().newPage();
  await second.goto(surgeon.url());
  await second.getByText("open in another tab").waitFor();
  await look(second, "operate-second-tab", ["phone"]);
  await second.close();
}

/** In the page: keeps what the hashing worker said last. */
function noteHashes(): void {
  const Plain = Worker;
  window.Worker = class extends Plain {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      this.addEventListener("message", ({ data }: MessageEvent<{ rtpTimestamp: number; hash: ArrayBuffer }>) => {
        const hex = Array.from(new Uint8Array(data.hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
        Object.assign(window, { hashed: [data.rtpTimestamp, hex] });
      });
    }
  };
}
