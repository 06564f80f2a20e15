// A camera of the page: on only while it is needed; every track is stopped afterwards.
const QUALITY = 0.85;

export class PageCamera {
  constructor(video) {
    this.video = video;
    this.canvas = document.createElement("canvas");
    this.wanted = 0;
    this.stream = null;
  }

  // Open it; false when it was stopped, or opened anew, meanwhile.
  async open(wishes) {
    const mine = ++this.wanted;
    const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: wishes });
    if (mine !== this.wanted) { end(stream); return false; }
    this.stream = stream;
    this.video.srcObject = stream;
    await this.video.play().catch(() => {});
    return mine === this.wanted;
  }

  // What it shows now, as JPEG of this width; null when there is no picture.
  picture(width, quality = QUALITY) {
    this.canvas.width = width;
    this.canvas.height = Math.round(width * this.video.videoHeight / this.video.videoWidth) || Math.round(0.75 * width);
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return new Promise((resolve) => { this.canvas.toBlob(resolve, "image/jpeg", quality); });
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
