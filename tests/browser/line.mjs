// A line that an engineer turns, as its people meet it: the surgeon's line test says what it would do to an operation, the
// simulator's page turns its dials while the surgeon operates, and the ghost shows where the tool will be.
//
//   node tests/browser/line.mjs
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { arm, chromiumForTests, deliver, despiteFaults, engage, now, open, picture, press, stayEngaged, truth, until, up, withTest } from "./stage.mjs";

const SECONDS = 8;

/** The verdict's words, and each finding's. */
async function tested(page, name) {
  await page.getByRole("button", { name: /^Test/ }).click();
  await page.locator(".verdict h1").waitFor({ timeout: 5_000 }).catch(() => {});
  await until("the line is measured", async () => (await page.locator("h1", { hasText: "Measured" }).count()) > 0, 30_000);
  await picture(page, name);
  const rows = await page.locator("tbody tr").evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
  return { said: await page.locator(".verdict h1").textContent(), rows };
}

/** Turns a dial as a hand on the keyboard would. */
async function turn(page, name, value) {
  await page.getByRole("slider", { name }).fill(`${value}`);
}

/** Pixels of the ghost, over the picture. */
const drawn = (page) =>
  page.evaluate(() => {
    const canvas = document.querySelector(".picture canvas.ghost");
    if (canvas.width === 0 || canvas.height === 0) return 0;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((count, value, i) => count + Number(i % 4 === 3 && value > 0), 0);
  });

/** The most that was drawn while the hand goes to and fro. */
async function wave(page, name) {
  const box = await page.getByRole("main", { name: "Picture" }).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  let [most, plainest] = [0, 0];
  for (let step = 0; step < 60; step++) {
    await page.mouse.move(x + 120 * Math.sin(step / 6), y);
    await sleep(16);
    if (step % 4 !== 0) continue;
    most = Math.max(most, await drawn(page));
    plainest = Math.max(plainest, (await now(page)).ghost);
    if (step === 40) await picture(page, name);
  }
  await page.mouse.up();
  return { most, plainest };
}

const browser = await chromiumForTests();
const site = await up(1, { options: ["--link", "lan"] });
try {
  const field = await open(browser, site.field, { width: 390, height: 844 });
  const bedside = await open(browser, site.bedside, { width: 390, height: 844 });
  const simulator = await open(browser, site.simulator);
  const page = await open(browser, site.operate.replace("/operate/", "/line/").replace("#", `?seconds=${SECONDS}#`));
  await deliver(field);
  await field.context().close();
  await page.bringToFront();
  await page.getByRole("button", { name: "Test the line" }).and(page.locator(":enabled")).waitFor({ timeout: 60_000 });
  await sleep(2_000);

  const near = await tested(page, "line-near");
  const far = async () => {
    await turn(simulator, "Delay", 400);
    return tested(page, "line-far");
  };
  const distant = await far();
  console.log(JSON.stringify({ near: near.said, distant: distant.said, why: distant.rows[0][4] }));
  assert.notEqual(near.rows[0][3], "Fail", `a cable is refused: ${JSON.stringify(near.rows)}`);
  assert.equal(distant.said, "Do not operate over this line");
  assert.match(distant.rows[0][4], /refuses commands older than 300 ms/);

  // The same session, operated.
  await turn(simulator, "Delay", 40);
  await page.goto(withTest(site.operate));
  await until("the surgeon sees a picture", async () => (await now(page))?.frame > 10);
  await arm(bedside, page);
  await page.bringToFront();
  const shown = await despiteFaults(bedside, page, async () => {
    await engage(page);
    let waved = await wave(page, "ghost");
    // Whoever's machine is short of time pauses, and begins again.
    for (let tries = 0; tries < 5 && waved.plainest < 0.5; tries++) {
      await stayEngaged(page);
      waved = await wave(page, "ghost");
    }
    await sleep(1_500);
    const still = { most: await drawn(page), plainest: (await now(page)).ghost };
    await page.keyboard.press("g");
    const hidden = await wave(page, "ghost-off");
    await page.keyboard.press("g");
    await page.keyboard.up("Space");
    return { waved, still, hidden };
  });
  console.log(JSON.stringify(shown));
  const { waved, still, hidden } = shown.result;
  assert.ok(waved.plainest > 0.5 && waved.most > 300, "the ghost shows where the tool will be");
  assert.ok(still.plainest === 0 && still.most === 0, "a tool that stands has no ghost");
  assert.equal(hidden.most, 0, "a ghost that is switched off is not drawn");

  // A line that stalls holds the tool; the same page gives it back.
  await simulator.bringToFront();
  await picture(simulator, "simulator");
  await press(simulator, "Stall it");
  await until("the page says that nothing comes", async () => (await now(page)).stateAgeMs > 500, 20_000);
  await until("the tool stands", () => truth(site).moving < 0.5, 5_000);
  await press(simulator, "All to zero");
  await until("the kit speaks again", async () => (await now(page)).stateAgeMs < 200, 30_000);

  // A killed part is another process when it is back.
  const kit = async () => (await simulator.locator("tr", { hasText: "gate, guard, motion" }).locator("td.mono").textContent()).trim();
  const before = await kit();
  const row = simulator.locator("tr", { hasText: "gate, guard, motion" }).getByRole("button");
  await row.hover();
  await simulator.mouse.down();
  await sleep(1_700);
  await simulator.mouse.up();
  await until("the kit is back", async () => /^\d+$/.test(await kit()) && (await kit()) !== before, 20_000);

  // The proving ground, from the page.
  await simulator.getByLabel("Sessions").fill("2");
  await press(simulator, "Run them");
  await simulator.getByText("No promise broken: 2 of 2 sessions, seed 1.").waitFor({ timeout: 60_000 });
  await picture(simulator, "proving-ground");

  // Nobody without its key is told anything.
  const { origin } = new URL(site.simulator);
  assert.equal((await fetch(`${origin}/api/simulator`)).status, 401);
  assert.equal((await fetch(`${origin}/api/simulator`, { headers: { Authorization: "Bearer 00" } })).status, 401);
} finally {
  await browser.close();
  await site.end();
}
