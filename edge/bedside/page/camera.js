// The camera at the back of the tablet: one picture whenever it is asked for.
import { PageCamera } from "/shared/camera.js";

const WIDTH = 640;
const NO_PICTURE_MS = 1_500;
const WISHES = { facingMode: { ideal: "environment" }, width: { ideal: 1280 }, height: { ideal: 960 } };

export class Camera extends PageCamera {
  start() { return this.open(WISHES); }

  get on() { return this.stream !== null; }

  // The next picture as JPEG, never the same one twice: repeats are a sign of a fed-in recording. Null once off.
  async take(width = WIDTH, quality = undefined) {
    await this.fresh();
    if (!this.stream || !this.video.videoWidth) return null;
    return this.picture(Math.min(width, this.video.videoWidth), quality);
  }

  fresh() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, NO_PICTURE_MS);
      this.video.requestVideoFrameCallback(() => { clearTimeout(timer); resolve(); });
    });
  }
}
