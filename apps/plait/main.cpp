// SPDX-License-Identifier: Apache-2.0
#include <plait/program.hpp>

#include <clocale>

#include "fetch.hpp"
#include "options.hpp"

int main(int argc, char** argv) {
    plait::program program{argc, argv};  // first: workers of process pools are this binary too
    std::setlocale(LC_CTYPE, "C.UTF-8"); // international host names
    plait::app::command_line line = plait::app::parse(argc, argv);
    if (line.run == plait::app::command_line::kind::exit) return line.exit_status;
    return plait::app::run_fetch(std::move(line.fetch));
}
