#include "apps/kiln/cli.h"
#include "outer_product_dense.h"

int main(int argc, char** argv) {
  kiln::TemplateRegistry registry;
  kiln::RegisterBuiltinTemplates(registry);
  registry.Register(NewOuterProductDense());  // registered last: it serves what it supports
  return kiln::RunKiln(argc, argv, registry);
}
