/**
 * Why the guard refused a command, in the guard's own words (`shared/wire/src/rejection.rs`; a test compares the two).
 * Each names the value seen and the limit.
 */

export interface Rejection {
  readonly code: number;
  readonly seen: number;
  readonly limit: number;
}

interface Words {
  readonly name: string;
  readonly say: (seen: string, limit: string) => string;
  /** Digits after the point of each number. */
  readonly digits: readonly [number, number];
}

const whole = [0, 0] as const;

const WORDS: Readonly<Record<number, Words>> = {
  1: { name: "StaleCommand", digits: whole, say: (s, l) => `command is ${s} ms old, limit ${l}` },
  2: { name: "FutureEcho", digits: whole, say: (s, l) => `command echoes a kit tick ${s} ms in the future, limit ${l}` },
  3: { name: "StalePicture", digits: whole, say: (s, l) => `picture is ${s} ms old, limit ${l}` },
  4: { name: "UnknownFrame", digits: whole, say: (s, l) => `picture ${s} is not known, newest is ${l}` },
  5: { name: "OldSequence", digits: whole, say: (s, l) => `command ${s} is not newer than ${l}` },
  6: { name: "OldToken", digits: whole, say: (s, l) => `lease token ${s} is not the one in force, ${l}` },
  7: { name: "LeaseExpired", digits: whole, say: (s, l) => `control lease idle for ${s} ms, limit ${l}` },
  8: {
    name: "NotArmed",
    digits: whole,
    say: (s, l) => `armed by ${s} people, ${l} are needed, one at the bedside`,
  },
  9: { name: "NotHomed", digits: whole, say: (s, l) => `${s} joints are homed, ${l} are needed` },
  10: { name: "EmergencyStopped", digits: whole, say: (s, l) => `e-stop is latched by ${s} presses, ${l} allowed` },
  11: {
    name: "Paused",
    digits: whole,
    say: (s, l) => `paused after ${s} ms without a fresh command, limit ${l}: release and press again`,
  },
  12: { name: "EngagementMismatch", digits: whole, say: (s, l) => `engagement ${s} does not match ${l}` },
  13: { name: "HoldMismatch", digits: whole, say: (s, l) => `engagement starts from hold ${s}, the arm holds ${l}` },
  14: {
    name: "NotAtRest",
    digits: [2, 2],
    say: (s, l) => `tool still moves at ${s} mm/s, a new engagement starts at ${l}`,
  },
  15: {
    name: "LagTooFar",
    digits: [1, 1],
    say: (s, l) => `target is ${s} mm from the tool, limit ${l}: release and press again`,
  },
  16: {
    name: "LagTurned",
    digits: [1, 1],
    say: (s, l) => `target is turned ${s}° from the tool, limit ${l}: release and press again`,
  },
  17: {
    name: "NotReleased",
    digits: whole,
    say: (s, l) => `dead-man seen released ${s} times since the stop, ${l} needed: release and press again`,
  },
  18: { name: "NoSuchArm", digits: whole, say: (s, l) => `arm ${s} of ${l} arms` },
  19: { name: "Silent", digits: whole, say: (s, l) => `no fresh command for ${s} ms, limit ${l}` },
  20: { name: "Faulted", digits: whole, say: () => "the arm reports a fault, or its button was pressed" },
  21: { name: "Unrecorded", digits: whole, say: (s, l) => `motion is ${s} ms ahead of its record, limit ${l}` },
  22: {
    name: "Unlisted",
    digits: whole,
    say: (s, l) => `no signed list of the surgeon's commands on record for ${s} ms, limit ${l}`,
  },
  23: { name: "LoopLate", digits: whole, say: (s, l) => `the kit's loop missed ${s} ticks in a row, limit ${l}` },
  24: {
    name: "ConsentWithdrawn",
    digits: whole,
    say: () => "consent was withdrawn: hold the dead-man to draw the tool out, nothing else moves it",
  },
  25: { name: "ArmSilent", digits: whole, say: (s, l) => `no word from the arm for ${s} ms, limit ${l}` },
  26: {
    name: "ImpossibleSetpoint",
    digits: [3, 3],
    say: (s, l) => `the kit refused its own setpoint: ${s}, limit ${l}`,
  },
  27: {
    name: "ErrandUnderWay",
    digits: whole,
    say: (s, l) => `the bedside moves arm ${s} of ${l}: wait, then release and press again`,
  },
};

export function isRejectionCode(code: number): boolean {
  return code in WORDS;
}

export function rejectionName(rejection: Rejection): string {
  return WORDS[rejection.code]?.name ?? `Rejection ${rejection.code}`;
}

/** "picture is 420 ms old, limit 400". */
export function inWords(rejection: Rejection): string {
  const words = WORDS[rejection.code];
  if (words === undefined) return `rejection ${rejection.code}: ${rejection.seen}, limit ${rejection.limit}`;
  const [seen, limit] = words.digits;
  return words.say(number(rejection.seen, seen), number(rejection.limit, limit));
}

function number(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : value > 0 ? "inf" : value < 0 ? "-inf" : "NaN";
}
