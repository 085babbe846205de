// 256 colours for one frame of a GIF: median cut over the frame's own colours, then ordered dithering (it is stable
// from frame to frame, where error diffusion crawls).
#pragma once

#include <cstdint>

namespace zt {

// rgb [height, width, 3] -> indices (rows `stride` apart) and 256 entries 0xAARRGGBB.
void quantise(const uint8_t* rgb, int width, int height, uint8_t* indices, int stride, uint32_t* palette);

}  // namespace zt
