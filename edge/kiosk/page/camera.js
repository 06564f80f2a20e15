// The camera: on only while it is needed; every track is stopped afterwards.
const WIDTH = 640;
const QUALITY = 0.85;

export class Camera {
  constructor(video) {
    this.video = video;
    this.canvas = document.createElement("canvas");
    this.wanted = 0;
    this.stream = null;
  }

  // Begin; `onFrame(blob, capturedAt)` gets a JPEG at most `fps` times a second, `mayTake()` says whether now.
  async start(fps, mayTake, onFrame) {
    const mine = ++this.wanted;
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } },
    });
    if (mine !== this.wanted) { stop(stream); return; }
    this.stream = stream;
    this.video.srcObject = stream;
    await this.video.play().catch(() => {});
    let last = -Infinity;
    let busy = false;
    const each = () => {
      if (mine !== this.wanted) return;
      this.video.requestVideoFrameCallback(each);
      const now = performance.now();
      if (busy || now - last < 1000 / fps - 8 || !mayTake()) return;
      last = now;
      busy = true;
      this.canvas.width = WIDTH;
      this.canvas.height = Math.round(WIDTH * this.video.videoHeight / this.video.videoWidth) || 480;
      this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
      this.canvas.toBlob((blob) => {
        busy = false;
        if (blob && mine === this.wanted) onFrame(blob, now);
      }, "image/jpeg", QUALITY);
    };
    this.video.requestVideoFrameCallback(each);
  }

  stop() {
    this.wanted += 1;
    if (this.stream) stop(this.stream);
    this.stream = null;
    this.video.srcObject = null;
  }
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
