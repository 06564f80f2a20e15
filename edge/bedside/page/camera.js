// The camera at the back of the tablet: on only while it is needed; every track is stopped afterwards.
const WIDTH = 640;
const NO_PICTURE_MS = 1_500;

export class Camera {
  constructor(video) {
    this.video = video;
    this.canvas = document.createElement("canvas");
    this.wanted = 0;
    this.stream = null;
  }

  async start() {
    const mine = ++this.wanted;
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 960 } },
    });
    if (mine !== this.wanted) { end(stream); return false; }
    this.stream = stream;
    this.video.srcObject = stream;
    await this.video.play().catch(() => {});
    return mine === this.wanted;
  }

  get on() { return this.stream !== null; }

  // The next picture as JPEG, never the same one twice: repeats are a sign of a fed-in recording. Null once off.
  async take(width = WIDTH, quality = 0.85) {
    await this.fresh();
    if (!this.stream || !this.video.videoWidth) return null;
    this.canvas.width = Math.min(width, this.video.videoWidth);
    this.canvas.height = Math.round(this.canvas.width * this.video.videoHeight / this.video.videoWidth);
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((resolve) => { this.canvas.toBlob(resolve, "image/jpeg", quality); });
  }

  fresh() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, NO_PICTURE_MS);
      this.video.requestVideoFrameCallback(() => { clearTimeout(timer); resolve(); });
    });
  }

  stop() {
    this.wanted += 1;
    if (this.stream) end(this.stream);
    this.stream = null;
    this.video.srcObject = null;
  }
}

function end(stream) {
  for (const track of stream.getTracks()) track.stop();
}
