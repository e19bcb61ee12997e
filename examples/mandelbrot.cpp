// SPDX-License-Identifier: Apache-2.0
// The Mandelbrot set as a PGM picture. Points inside of it cost a hundred times what most others do, so equal
// parts of the picture are unequal work: who is done with his takes half of what another one has left.
#include <plait/parallel.hpp>
#include <plait/thread_pool.hpp>

#include <complex>
#include <cstdio>
#include <cstdlib>
#include <err.h>
#include <vector>

namespace {

unsigned char shade(double x, double y) {
    constexpr int most = 1000;
    std::complex<double> z;
    for (int n = 0; n < most; ++n) {
        if (std::norm(z) > 4) return static_cast<unsigned char>(255 - n % 256);
        z = z * z + std::complex{x, y};
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::size_t width = argc > 2 ? std::strtoul(argv[1], nullptr, 10) : 300;
    const std::size_t height = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 200;
    if (width == 0 || height == 0) errx(2, "usage: mandelbrot [WIDTH HEIGHT [FILE]]");
    std::FILE* const out = argc > 3 ? std::fopen(argv[3], "wb") : stdout;
    if (!out) err(3, "%s", argv[3]);

    std::vector<unsigned char> picture(width * height);
    plait::thread_pool pool;
    plait::for_each(pool, plait::index_space{height, width}, [&](std::size_t row, std::size_t column) {
        const double x = 3.0 * static_cast<double>(column) / static_cast<double>(width) - 2.0;
        const double y = 2.0 * static_cast<double>(row) / static_cast<double>(height) - 1.0;
        picture[row * width + column] = shade(x, y);
    });

    std::fprintf(out, "P5\n%zu %zu\n255\n", width, height);
    if (std::fwrite(picture.data(), 1, picture.size(), out) != picture.size() || std::fflush(out) != 0)
        err(3, "write");
}
