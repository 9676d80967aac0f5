#include "apps/kiln/cli.h"

int main(int argc, char** argv) {
  kiln::TemplateRegistry registry;
  kiln::RegisterBuiltinTemplates(registry);
  return kiln::RunKiln(argc, argv, registry);
}
