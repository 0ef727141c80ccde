// Parts die in the middle of an operation (SIGKILL): motion ends or goes on as it must, the page says why in words, and
// everybody can go on afterwards. What the tool does is read from the simulated world's truth.
//
//   node tests/browser/kills.mjs
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BIN, arm, chromiumForTests, clear, deliver, engage, hold, now, open, picture, stands, stayEngaged, truth, until, up, withTest } from "./stage.mjs";

/** The part's process now: a child of the program that was started, by its name on the command line. */
function kill(site, part) {
  const config = `${site.folder}/${part}.toml`;
  const pids = execFileSync("pgrep", ["-f", `part ${part} --config ${config}`], { encoding: "utf8" }).trim().split("\n");
  for (const pid of pids) process.kill(Number(pid), "SIGKILL");
  console.log(`killed ${part}`);
}

const says = async (page) => `${(await now(page)).word}: ${(await now(page)).why}`;

/** A small drag, and again where the arm paused on the way; how far the tool went by the world's own word, mm. A machine that is short
 *  of time can be silent for so long that the kit calls it the arm's fault: then two people clear it, as they would. */
async function drag(page, site, bedside) {
  const box = await page.getByRole("main", { name: "Picture" }).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const before = truth(site).tip_mm;
  const travelled = () => Math.hypot(...truth(site).tip_mm.map((mm, axis) => mm - before[axis]));
  for (let tries = 0; tries < 3 && travelled() < 1; tries++) {
    if ((await now(page)).look === "stopped") {
      console.log("stopped on its way:", await says(page));
      await page.keyboard.up("Space");
      await clear(bedside, page);
    }
    await stayEngaged(page);
    await page.mouse.move(x, y);
    await page.mouse.down();
    for (let step = 1; step <= 16; step++) {
      await page.mouse.move(x + 5 * step, y);
      await sleep(12);
    }
    await page.mouse.up();
    await sleep(500);
  }
  return travelled();
}

async function withoutTheCloud(site, bedside, surgeon, others) {
  kill(site, "cloud");
  const offline = surgeon.getByText("cloud is offline", { exact: false });
  await offline.first().waitFor({ timeout: 10_000 });
  for (const page of others) await page.locator(".refusal").first().waitFor({ timeout: 10_000 });
  assert.ok((await drag(surgeon, site, bedside)) > 1, "without the cloud the operation goes on");
  await picture(surgeon, "kills-cloud");
  await offline.first().waitFor({ state: "detached", timeout: 30_000 });
  for (const page of others) await page.locator(".refusal").first().waitFor({ state: "detached", timeout: 30_000 });
}

async function withoutTheEdge(site, bedside, surgeon) {
  kill(site, "edge");
  await stands(site, "the edge box died");
  await until("the page says that the edge box is gone", async () => (await now(surgeon)).link !== "connected" || (await now(surgeon)).stateAgeMs > 300);
  console.log("edge box dead:", await says(surgeon));
  await picture(surgeon, "kills-edge");
  await surgeon.keyboard.up("Space");
  await until("the console is back", async () => (await now(surgeon)).link === "connected" && (await now(surgeon)).stateAgeMs < 200, 60_000);
  await clear(bedside, surgeon);
  await engage(surgeon);
  assert.ok((await drag(surgeon, site, bedside)) > 1, "after the edge box came back the surgeon goes on");
}

async function withoutTheKit(site, bedside, surgeon) {
  kill(site, "kit");
  await stands(site, "the kit died");
  assert.ok(truth(site).arm !== undefined);
  await until("the page says that the kit is gone", async () => (await now(surgeon)).stateAgeMs > 300 || (await now(surgeon)).noticeAgeMs > 600);
  console.log("kit dead:", await says(surgeon));
  await picture(surgeon, "kills-kit");
  await surgeon.keyboard.up("Space");
  await until("the kit is back, disarmed", async () => ((await now(surgeon)).noticeAgeMs ?? 9e9) < 600 && ((await now(surgeon)).flags & 2) === 0, 60_000);
  await arm(bedside, surgeon);
  await engage(surgeon);
  assert.ok((await drag(surgeon, site, bedside)) > 1, "after the kit came back two people arm it, and the surgeon goes on");
}

async function withoutTheWorld(site, bedside, surgeon) {
  const { frames } = truth(site);
  kill(site, "world");
  await until("the page says that it does not move", async () => (await now(surgeon)).look === "stopped" || (await now(surgeon)).look === "holding", 10_000);
  console.log("camera and arm dead:", await says(surgeon));
  await picture(surgeon, "kills-world");
  await surgeon.keyboard.up("Space");
  await until("the world is back", () => truth(site).frames < frames, 60_000);
  await until("the picture is back", async () => (await now(surgeon)).pictureAgeMs < 300, 60_000);
  await clear(bedside, surgeon);
}

async function withoutTheTab(site, surgeon) {
  await surgeon.context().close();
  await stands(site, "the surgeon's tab was closed");
}

/** Whatever died: what is left is one record that holds, and says what is missing. */
async function closedAndAudited(site, bedside) {
  await bedside.bringToFront();
  await hold(bedside, "Close", 2_000);
  await until("the record is sealed", () => existsSync(site.bundle), 90_000);
  const report = JSON.parse(execFileSync(join(BIN, "farhand-audit"), ["verify", site.bundle, "--trust", site.trust, "--json"], { encoding: "utf8" }));
  assert.ok(report.commands.taken_in > 0);
  console.log(`the record holds, with ${report.findings.length} remarks`);
}

const browser = await chromiumForTests();
const site = await up(4);
let pages = [];
try {
  const field = await open(browser, site.field, { width: 390, height: 844 });
  const bedside = await open(browser, site.bedside, { width: 390, height: 844 });
  const surgeon = await open(browser, withTest(site.operate));
  const audit = await open(browser, site.audit);
  pages = [field, bedside, surgeon, audit];
  await deliver(field);
  await until("the surgeon sees a picture", async () => (await now(surgeon))?.frame > 10);
  await arm(bedside, surgeon);
  await engage(surgeon);
  assert.ok((await drag(surgeon, site, bedside)) > 1, "the tool follows");
  await withoutTheCloud(site, bedside, surgeon, [field, audit]);
  await withoutTheEdge(site, bedside, surgeon);
  await withoutTheKit(site, bedside, surgeon);
  await withoutTheWorld(site, bedside, surgeon);
  await withoutTheTab(site, surgeon);
  await closedAndAudited(site, bedside);
  console.log("every part died once");
} catch (error) {
  for (const [number, page] of pages.entries()) await picture(page, `kills-failed-${number}`).catch(() => {});
  throw error;
} finally {
  await browser.close();
  await site.end();
}
