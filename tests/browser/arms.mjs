// A kit of three arms in the surgeon's page, in Debian's Chromium, over the real parts: from one instrument to the other and to the
// endoscope with the dead-man held throughout, and one release that stops them all. What is asserted is what the simulated world
// knows (its truth file).
//
//   node tests/browser/arms.mjs
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { arm, chromiumForTests, deliver, despiteFaults, engage, now, open, picture, stands, stayEngaged, truth, until, up, withTest } from "./stage.mjs";

const DRAG_PX = 160;
const STEPS = 40;
const MOVED_MM = 2;
/** An arm that is held stands, but for what its drives still settle. */
const STILL_MM = 0.2;

const distance = (one, other) => Math.hypot(...one.map((mm, axis) => mm - other[axis]));

/** Waits until the page's hand is on this arm and the kit follows it. */
async function has(page, number) {
  await until(`the hand has arm ${number}`, async () => {
    const { arm: at, phase } = await now(page);
    return at === number && phase === "engaged";
  });
}

/** Drags in the picture until this arm has moved; no other one did. */
async function moves(page, site, name) {
  const before = truth(site).tips_mm;
  const box = await page.getByRole("main", { name: "Picture" }).boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const moved = (of) => distance(truth(site).tips_mm[of], before[of]);
  await until(`${name} moves`, async () => {
    await stayEngaged(page);
    await page.mouse.move(x, y);
    await page.mouse.down();
    for (let step = 1; step <= STEPS; step++) {
      await page.mouse.move(x + (DRAG_PX * step) / STEPS, y);
      await sleep(12);
    }
    await page.mouse.up();
    await sleep(300);
    return moved(name) > MOVED_MM;
  });
  for (const other of Object.keys(before).filter((other) => other !== name)) {
    assert.ok(moved(other) < STILL_MM, `${other} moved by ${moved(other)} mm while the hand was on ${name}`);
  }
}

async function fromArmToArm(surgeon, site) {
  await engage(surgeon);
  await moves(surgeon, site, "PSM1");
  await surgeon.keyboard.press("2");
  await has(surgeon, 1);
  await moves(surgeon, site, "PSM2");
  await picture(surgeon, "arms-second");
  await surgeon.keyboard.down("c");
  await has(surgeon, 2);
  await moves(surgeon, site, "ECM");
  await picture(surgeon, "arms-endoscope");
  await surgeon.keyboard.up("c");
  await has(surgeon, 1);
  await moves(surgeon, site, "PSM2");
  await surgeon.keyboard.press("1");
  await has(surgeon, 0);
  await surgeon.keyboard.up("Space");
  await stands(site, "released");
}

const browser = await chromiumForTests();
const site = await up(1, { stamp: false });
try {
  const field = await open(browser, site.field, { width: 390, height: 844 });
  const [surgeon, bedside] = [await open(browser, withTest(site.operate)), await open(browser, site.bedside, { width: 390, height: 844 })];
  await deliver(field);
  await until("the surgeon sees a picture", async () => (await now(surgeon))?.frame > 10);
  await surgeon.bringToFront();
  await arm(bedside, surgeon);
  const { faults } = await despiteFaults(bedside, surgeon, () => fromArmToArm(surgeon, site));
  console.log(JSON.stringify({ faults, tips_mm: truth(site).tips_mm }));
} finally {
  await site.end();
  await browser.close();
}
