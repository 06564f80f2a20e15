// The kiosk's camera: a few frames a second, as many as may be taken.
import { PageCamera } from "/shared/camera.js";

const WIDTH = 640;
const WISHES = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

export class Camera extends PageCamera {
  // Begin; `onFrame(blob, capturedAt)` gets a JPEG at most `fps` times a second, `mayTake()` says whether now.
  async start(fps, mayTake, onFrame) {
    if (!await this.open(WISHES)) return;
    const mine = this.wanted;
    let last = -Infinity;
    let busy = false;
    const each = async () => {
      if (mine !== this.wanted) return;
      this.video.requestVideoFrameCallback(each);
      const now = performance.now();
      if (busy || now - last < 1000 / fps - 8 || !mayTake()) return;
      last = now;
      busy = true;
      const blob = await this.picture(WIDTH);
      busy = false;
      if (blob && mine === this.wanted) onFrame(blob, now);
    };
    this.video.requestVideoFrameCallback(each);
  }
}
