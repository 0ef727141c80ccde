// An auditor at work, in Debian's Chromium, on a short session that people have just clicked through: finds it, checks it in the browser
// under a trust file of their own, looks through it picture by picture, proves an entry, takes the bundle out on record, and sees a
// flipped byte. What is asserted is what the simulated session left behind and what `farhand-audit` says of it.
//
//   node tests/browser/audit.mjs [SEED]
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { BIN, arm, chromiumForTests, despiteFaults, engage, hold, now, open, picture, press, reach, until, up, watching, withTest } from "./stage.mjs";

const SEED = Number(process.argv[2] ?? 1);
const run = promisify(execFile);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** As short as a session gets in which the tool was moved. */
async function operate(browser, site) {
  const bedside = await open(browser, site.bedside, { width: 390, height: 844 });
  const surgeon = await watching(browser, site);
  await arm(bedside, surgeon);
  await surgeon.bringToFront();
  await despiteFaults(bedside, surgeon, async () => {
    await engage(surgeon);
    await reach(surgeon, site, 8);
  });
  await surgeon.keyboard.up("Space");
  await hold(surgeon, "Close the operation", 2_000);
  await until("the kit says closed", async () => (await now(surgeon)).closed);
  for (const page of [bedside, surgeon]) await page.context().close();
}

const answer = (page, by, exit) => page.locator(`.answer[data-by="${by}"][data-exit="${exit}"]`).waitFor({ timeout: 60_000 });

async function check(page, site) {
  const name = site.bundle.split("/").at(-1);
  const row = page.locator(`[data-bundle="${name}"]`);
  await row.waitFor({ timeout: 60_000 });
  await page.getByLabel("Find a session").fill("nobody of that name");
  await row.waitFor({ state: "detached" });
  await page.getByLabel("Find a session").fill("s1 surgeon");
  await page.locator(`[data-bundle="${name}"]`, { hasText: "S1 surgeon" }).waitFor();
  await picture(page, "audit-list");

  await press(page, `Open ${name}`);
  await answer(page, "device", 3); // without a trust file: self-consistent, and no more
  await page.getByLabel("Your trust file").setInputFiles(site.trust);
  await answer(page, "device", 0);
  await press(page, "Ask the server, too");
  await answer(page, "server", 0);
  assert.equal(await page.locator('.answer[data-by="server"]').getAttribute("data-agrees"), "true");
  return name;
}

const shownFrame = async (page) => Number(await page.locator(".screen canvas").getAttribute("data-frame"));

/** The picture that stays once the last one asked for is decoded. */
const settled = (page) =>
  until("a picture stands", async () => {
    const one = await shownFrame(page);
    await sleep(500);
    return one > 0 && one === (await shownFrame(page)) && one;
  });

const entry = (page, text) => page.locator(".entries ol button", { hasText: text }).first();

/** Picture, arm and command go in step. */
async function scrub(page) {
  const timeline = page.getByRole("slider", { name: "Moment of the session" });
  const { width } = await timeline.boundingBox();
  await timeline.click({ position: { x: width * 0.7, y: 10 } });
  const clicked = await settled(page);
  await timeline.focus();
  await page.keyboard.press("Shift+ArrowRight");
  await until("another picture is shown", async () => (await shownFrame(page)) !== clicked);
  const frame = await settled(page);
  await page.keyboard.press("ArrowRight");
  await until("the next picture is shown", async () => (await shownFrame(page)) === frame + 1);
  const colours = await page.locator(".screen canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1);
    return new Set(Array.from({ length: data.length / 4 }, (_, i) => `${data[4 * i]} ${data[4 * i + 1]} ${data[4 * i + 2]}`)).size;
  });
  assert.ok(colours > 20, `a picture of ${colours} colours is none`);
  await page.getByRole("region", { name: "Command in force" }).getByText(/under token 1/).waitFor();
  await page.getByRole("region", { name: "Arm" }).getByText(/mm$/).first().waitFor();
  await picture(page, "audit-captured");
  await press(page, "As the surgeon saw it");
  const seen = await until("an older picture is shown", async () => (await shownFrame(page)) <= frame && shownFrame(page));
  await picture(page, "audit-seen");
  const before = await timeline.getAttribute("aria-valuenow");
  await page.keyboard.press("Shift+ArrowLeft");
  await until("a second back", async () => Math.abs(before - (await timeline.getAttribute("aria-valuenow")) - 1) < 0.01);
  return { captured: frame + 1, seen };
}

async function prove(page) {
  await page.getByLabel("all, commands and frames too").check();
  const command = entry(page, "command");
  const leaf = (await command.locator("span").first().innerText()).replace(/\D/g, "");
  await command.click();
  await page.locator(`.proof[data-leaf="${leaf}"][data-holds="true"]`).waitFor();
  assert.equal(await page.locator('.proof .steps li[data-holds="true"]').count(), 3);
  await page.locator(".proof").scrollIntoViewIfNeeded();
  await picture(page, "audit-proof");
}

async function takeOut(page, site, name) {
  const ask = (what) =>
    page.evaluate(async (path) => (await fetch(path, { credentials: "same-origin" })).status, `/api/audit/bundles/${name}${what}?link=${new URL(page.url()).pathname.split("/")[2]}`);
  assert.equal(await ask(""), 403, "nothing is handed out in one piece");
  assert.equal(await ask("/exported"), 403, "nothing is handed out before it is on record");
  const taken = async (button, recorded, link) => {
    await press(page, button);
    await page.locator(`[data-recorded="${recorded}"]`).waitFor({ timeout: 60_000 });
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: link }).click()]);
    return file.path();
  };
  const verified = async (file) => JSON.parse((await run(join(BIN, "farhand-audit"), ["verify", file, "--trust", site.trust, "--json"])).stdout);
  const whole = await taken("Export whole", "whole", "Download the bundle");
  assert.equal(sha256(readFileSync(whole)), sha256(readFileSync(site.bundle)), "what was recorded was handed out");
  await picture(page, "audit-exported");

  const { frames } = await verified(await taken("Export without pictures", "pictures", "Download it without pictures"));
  assert.ok(frames.recorded > 0 && frames.pictures === 0 && frames.pictures_left_out === frames.recorded, JSON.stringify(frames));

  const box = page.locator(".entries li", { hasText: "command" }).first().getByRole("checkbox");
  const leaf = Number((await box.getAttribute("aria-label")).replace(/\D/g, ""));
  await box.check();
  const { leaves } = await verified(await taken("Export without the marked entry", `${leaf}-${leaf}`, "Download it without 1 entry"));
  assert.deepEqual(leaves.redactions, [{ first: leaf, last: leaf }]);
  await picture(page, "audit-marked");
}

/** A copy with one byte of a picture flipped: the browser says no, and where. */
async function flip(page, site) {
  const bytes = readFileSync(site.bundle);
  const at = bytes.indexOf("endoscope", Math.floor(bytes.length / 2)) + 600;
  bytes[at] ^= 1;
  const copy = `${site.bundle}.flipped`;
  writeFileSync(copy, bytes);
  await press(page, "All sessions");
  await page.getByLabel("A bundle of your own").setInputFiles(copy);
  await answer(page, "device", 1);
  const places = await page.locator('.answer[data-by="device"] .findings li[data-severity="violation"]').evaluateAll((all) => all.map((one) => [Number(one.dataset.byte), one.textContent]));
  assert.ok(places.some(([byte]) => byte <= at && at - byte < 200_000), `byte ${at} is not named: ${JSON.stringify(places)}`);
  await picture(page, "audit-flipped");
  return places[0]?.[1];
}

const browser = await chromiumForTests();
const began = Date.now();
const site = await up(SEED);
let auditor;
try {
  auditor = await open(browser, withTest(site.audit));
  await operate(browser, site);
  await auditor.bringToFront();
  const name = await check(auditor, site);
  const frames = await scrub(auditor);
  await prove(auditor);
  await takeOut(auditor, site, name);
  const found = await flip(auditor, site);
  console.log(JSON.stringify({ seed: SEED, seconds: (Date.now() - began) / 1000, ...frames, found }));
} catch (error) {
  if (auditor) {
    console.log(await auditor.locator(".screen").innerText({ timeout: 1_000 }).catch(() => "no screen"));
    await picture(auditor, "failed-audit").catch(() => {});
  }
  throw error;
} finally {
  await site.end();
  await browser.close();
}
