#include "app/headless/command_line.h"

int main(int argc, char** argv) { return zt::run_command_line(argc, argv); }
