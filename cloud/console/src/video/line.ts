/** What the connection's statistics say about the line, from one reading to the next. */

export interface LineFigures {
  readonly jitterMs: number | undefined;
  readonly lossPercent: number | undefined;
  readonly bitrateMbitS: number | undefined;
  readonly framesPerSecond: number | undefined;
}

interface Inbound {
  readonly timestamp: number;
  readonly bytes: number;
  readonly received: number;
  readonly lost: number;
}

export class LineReader {
  #before: Inbound | undefined;

  read(report: RTCStatsReport): LineFigures {
    const stats = [...report.values()].find((one: RTCStats & { kind?: string }) => one.type === "inbound-rtp" && one.kind === "video") as
      | RTCInboundRtpStreamStats
      | undefined;
    const inbound = stats && {
      timestamp: stats.timestamp,
      bytes: stats.bytesReceived ?? 0,
      received: stats.packetsReceived ?? 0,
      lost: stats.packetsLost ?? 0,
    };
    const before = this.#before;
    this.#before = inbound;
    const jitter = stats?.jitter;
    return {
      jitterMs: jitter === undefined ? undefined : jitter * 1000,
      framesPerSecond: stats?.framesPerSecond,
      lossPercent: before && inbound && lossPercent(before, inbound),
      bitrateMbitS: before && inbound && bitrate(before, inbound),
    };
  }
}

function lossPercent(before: Inbound, after: Inbound): number {
  const lost = Math.max(0, after.lost - before.lost);
  const all = lost + Math.max(0, after.received - before.received);
  return all === 0 ? 0 : (100 * lost) / all;
}

function bitrate(before: Inbound, after: Inbound): number | undefined {
  const ms = after.timestamp - before.timestamp;
  return ms <= 0 ? undefined : ((after.bytes - before.bytes) * 8) / ms / 1000;
}
