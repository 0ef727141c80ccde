/** A moving picture with the edge box's stamp in its corner, and a record of each frame that is sent. */
import { COLUMNS, ROWS, blockPx, crc16 } from "../../src/video/stamp";

const [WIDTH, HEIGHT, FPS] = [960, 540, 30];
/** Each eye's ground, from the middle outwards, so that they can be told apart. */
const [LEFT, RIGHT] = [["#c9796b", "#3a0f10"], ["#4b59e9", "#100f3a"]] as const;

export class Picture {
  readonly #canvas: HTMLCanvasElement;
  readonly #pen: CanvasRenderingContext2D;
  frozen = false;
  readonly track: MediaStreamTrack;

  /** `nowUs`: the edge box's clock. `stereo`: what two eyes see, side by side, each half as large. */
  constructor(
    private readonly nowUs: () => bigint,
    private readonly stereo: boolean,
  ) {
    this.#canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: stereo ? HEIGHT / 2 : HEIGHT });
    this.#pen = this.#canvas.getContext("2d")!;
    this.#draw();
    const [track] = this.#canvas.captureStream(FPS).getVideoTracks();
    if (track === undefined) throw new Error("no track");
    this.track = track;
    setInterval(() => this.frozen || this.#draw(), 1000 / FPS);
  }

  #draw(): void {
    if (this.stereo) {
      this.#pen.setTransform(0.5, 0, 0, 0.5, 0, 0);
      this.#eye(LEFT);
      this.#pen.setTransform(0.5, 0, 0, 0.5, WIDTH / 2, 0);
      this.#eye(RIGHT);
      this.#pen.resetTransform();
    } else {
      this.#eye(LEFT);
    }
    this.#stamp(BigInt.asUintN(48, this.nowUs()));
  }

  #eye([middle, edge]: readonly [string, string]): void {
    const pen = this.#pen;
    const s = Number(this.nowUs()) / 1e6;
    const ground = pen.createRadialGradient(WIDTH / 2, HEIGHT / 2, 60, WIDTH / 2, HEIGHT / 2, 560);
    ground.addColorStop(0, middle);
    ground.addColorStop(1, edge);
    pen.fillStyle = ground;
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.strokeStyle = "#b9c2c9";
    pen.lineWidth = 22;
    pen.lineCap = "round";
    pen.beginPath();
    pen.moveTo(WIDTH, HEIGHT);
    pen.lineTo(WIDTH / 2 + 90 * Math.cos(s), HEIGHT / 2 + 50 * Math.sin(1.3 * s));
    pen.stroke();
  }

  #stamp(tickUs: bigint): void {
    const block = blockPx(WIDTH);
    const code = (tickUs << 16n) | BigInt(crc16(tickUs));
    for (let bit = 0; bit < COLUMNS * ROWS; bit++) {
      this.#pen.fillStyle = (code >> BigInt(COLUMNS * ROWS - 1 - bit)) & 1n ? "#fff" : "#000";
      this.#pen.fillRect((bit % COLUMNS) * block, Math.floor(bit / COLUMNS) * block, block, block);
    }
  }
}

/** Says of each encoded frame its RTP timestamp and content, and sends it on. */
const TAP = `onrtctransform = ({ transformer: { readable, writable } }) => {
  const tap = new TransformStream({
    transform(frame, controller) {
      postMessage({ rtpTimestamp: frame.getMetadata().rtpTimestamp, unit: frame.data.slice(0), key: frame.type === "key" });
      controller.enqueue(frame);
    },
  });
  readable.pipeThrough(tap).pipeTo(writable);
};`;

export interface Encoded {
  readonly rtpTimestamp: number;
  readonly unit: ArrayBuffer;
  readonly key: boolean;
}

export function tap(sender: RTCRtpSender, encoded: (frame: Encoded) => void): void {
  const worker = new Worker(URL.createObjectURL(new Blob([TAP], { type: "text/javascript" })));
  worker.onmessage = ({ data }: MessageEvent<Encoded>) => encoded(data);
  sender.transform = new RTCRtpScriptTransform(worker);
}
