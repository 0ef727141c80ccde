// Shows what webrtcsink sends to whoever asks (its own default signalling: JSON over a WebSocket), and says of each picture how old it
// was when it was shown: by the stamp in its pixels, with the console's own code.
import { stampMs } from "../../cloud/console/src/video/frames";
import { watch } from "../../cloud/console/src/video/viewer";

/** The producer is there once its encoder has been tried. */
const ASK_AGAIN_MS = 200;
const ZEROS = 41;

const samples = [];
/** What came since it was last asked for. */
window.takeSamples = () => samples.splice(0);

const video = document.querySelector("video");
const socket = new WebSocket(`ws://127.0.0.1:${new URLSearchParams(location.search).get("signalling")}`);
const say = (message) => socket.send(JSON.stringify(message));

/** From this page's clock to the system's, in ms: by the moments at which the latter begins another millisecond. */
function systemsClock() {
  const offsets = Array.from({ length: ZEROS }, () => {
    const from = Date.now();
    let at = from;
    while (at === from) at = Date.now();
    return at - performance.now();
  });
  return { offsetMs: offsets.sort((a, b) => a - b)[(ZEROS - 1) / 2] };
}

function show(track) {
  const clock = systemsClock();
  video.srcObject = new MediaStream([track]);
  watch(video, true, ({ shownMs, stampUs }) => {
    const ageMs = stampMs({ shownMs, stampUs }, clock);
    if (ageMs !== undefined) samples.push(ageMs);
  });
}

function connection(sessionId) {
  const pc = new RTCPeerConnection();
  pc.ontrack = ({ track }) => show(track);
  pc.onicecandidate = ({ candidate }) => {
    if (candidate) say({ type: "peer", sessionId, ice: { candidate: candidate.candidate, sdpMLineIndex: candidate.sdpMLineIndex } });
  };
  return pc;
}

async function answer(pc, sessionId, offer) {
  await pc.setRemoteDescription(offer);
  // As the console's page has it: shown when it comes.
  for (const receiver of pc.getReceivers()) {
    receiver.jitterBufferTarget = 0;
    if ("playoutDelayHint" in receiver) receiver.playoutDelayHint = 0;
  }
  await pc.setLocalDescription();
  say({ type: "peer", sessionId, sdp: { type: "answer", sdp: pc.localDescription.sdp } });
}

let pc;
const on = {
  welcome: () => say({ type: "list" }),
  list: ({ producers: [producer] }) => {
    if (producer) say({ type: "startSession", peerId: producer.id });
    else setTimeout(() => say({ type: "list" }), ASK_AGAIN_MS);
  },
  sessionStarted: ({ sessionId }) => {
    pc = connection(sessionId);
  },
  peer: async ({ sessionId, sdp, ice }) => {
    if (sdp) await answer(pc, sessionId, sdp);
    if (ice) await pc.addIceCandidate(ice);
  },
  error: ({ details }) => {
    throw new Error(details);
  },
};
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  return on[message.type]?.(message);
};
