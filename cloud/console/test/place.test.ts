/** What is drawn over the picture lies over what the left eye sees, however much of the picture is shown. */
import { describe, expect, it } from "vitest";
import { type Place, placeOf, toPlace } from "../src/pages/operate/place";
import { aspectOfEye } from "../src/video/viewer";

/** An eye's picture is 3 to 2, that of two eyes 3 to 1. */
const [ONE, TWO] = [3 / 2, 3];

const middleOf = (place: Place) => {
  const { a, d, e, f } = toPlace(place);
  return { a, d, e, f };
};

describe("the picture's place", () => {
  it("keeps the form of what one eye sees, in the middle", () => {
    expect(placeOf([900, 300], ONE, undefined), "wide").toEqual({ left: 225, top: 0, width: 450, height: 300 });
    expect(placeOf([300, 900], ONE, undefined), "tall").toEqual({ left: 0, top: 350, width: 300, height: 200 });
  });

  // Goal: who looks at one eye's picture of two sees it as large as if there were no other.
  it("of the left eye alone is that of one eye", () => {
    for (const around of [[900, 300], [300, 900]] as const) expect(placeOf(around, TWO, "left")).toEqual(placeOf(around, ONE, undefined));
  });

  it("of both eyes is the left half of what is shown", () => {
    expect(placeOf([1200, 300], TWO, "both"), "wide").toEqual({ left: 150, top: 0, width: 450, height: 300 });
    expect(placeOf([300, 900], TWO, "both"), "tall").toEqual({ left: 0, top: 400, width: 150, height: 100 });
  });

  // Goal: the style sheet keeps what is drawn off the right eye's picture, by the middle of the screens' place.
  it("of both eyes ends in the middle, whatever its form", () => {
    for (const aspect of [0.5, 1, 2.7, 3.6]) {
      for (const around of [[900, 300], [300, 900], [640, 480]] as const) {
        const { left, width } = placeOf(around, aspect, "both");
        expect(left + width).toBeCloseTo(around[0] / 2, 9);
      }
    }
  });

  it("is all there is as long as no picture has told its form", () => {
    expect(placeOf([900, 300], Number.NaN, undefined)).toEqual({ left: 0, top: 0, width: 900, height: 300 });
    expect(placeOf([900, 300], Number.NaN, "left")).toEqual({ left: 0, top: 0, width: 900, height: 300 });
    expect(placeOf([900, 300], Number.NaN, "both")).toEqual({ left: 0, top: 0, width: 450, height: 300 });
  });

  // Goal: heights of the picture from its middle, wherever that lies.
  it("has its own middle and height for what is drawn", () => {
    expect(middleOf(placeOf([900, 300], ONE, undefined))).toEqual({ a: 300, d: 300, e: 450, f: 150 });
    expect(middleOf(placeOf([900, 300], TWO, "left"))).toEqual({ a: 300, d: 300, e: 450, f: 150 });
    expect(middleOf(placeOf([1200, 300], TWO, "both"))).toEqual({ a: 300, d: 300, e: 375, f: 150 });
    expect(middleOf(placeOf([300, 900], TWO, "both"))).toEqual({ a: 100, d: 100, e: 75, f: 450 });
  });

  it("has the form of half the picture where that holds what two eyes see", () => {
    expect([aspectOfEye(16 / 9, false), aspectOfEye(32 / 9, true)]).toEqual([16 / 9, 16 / 9]);
  });
});
