#include "kernel_host/elf_loader.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/rng.h"
#include "kernel_host/kiln_kernel.h"
#include "test_kernels.h"

namespace kiln {
namespace {

using Kind = LoadedObject::SymbolKind;

class ElfLoaderTest : public testing::Test {
 protected:
  void SetUp() override { SKIP_WITHOUT_TEST_KERNELS(); }

  static std::string ErrorOf(const std::string& object) {
    std::string error;
    return LoadedObject::Load(object, error) ? "loaded" : error;
  }

  // The good object with its header changed.
  template <typename Change>
  static std::string ErrorAfter(const Change& change) {
    std::string object = TestKernel("good");
    Elf64_Ehdr header;
    std::memcpy(&header, object.data(), sizeof header);
    change(header);
    std::memcpy(object.data(), &header, sizeof header);
    return ErrorOf(object);
  }

  // The good object with its program headers of a type changed.
  template <typename Change>
  static std::string ErrorAfterSegments(std::uint32_t type, const Change& change) {
    std::string object = TestKernel("good");
    Elf64_Ehdr header;
    std::memcpy(&header, object.data(), sizeof header);
    for (int i = 0; i < header.e_phnum; ++i) {
      char* at = object.data() + header.e_phoff + static_cast<std::size_t>(i) * sizeof(Elf64_Phdr);
      Elf64_Phdr segment;
      std::memcpy(&segment, at, sizeof segment);
      if (segment.p_type == type) change(segment);
      std::memcpy(at, &segment, sizeof segment);
    }
    return ErrorOf(object);
  }

  const std::string info_ = std::string(kTestSymbol) + "_info";
  const std::string run_ = std::string(kTestSymbol) + "_run";
};

TEST_F(ElfLoaderTest, FindsDataAndFunctions) {
  std::string error;
  const auto object = LoadedObject::Load(TestKernel("good"), error);
  ASSERT_TRUE(object) << error;
  const auto* info =
      static_cast<const kiln_info*>(object->Find(info_, Kind::kData, sizeof(kiln_info)));
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(info->abi, static_cast<std::uint32_t>(KILN_ABI));
  EXPECT_EQ(info->x_bytes, 126u);
  EXPECT_NE(object->Find(run_, Kind::kFunction, 1), nullptr);
}

TEST_F(ElfLoaderTest, SymbolsHaveTheKindAndSizeThatIsAskedFor) {
  std::string error;
  const auto object = LoadedObject::Load(TestKernel("good"), error);
  ASSERT_TRUE(object) << error;
  EXPECT_EQ(object->Find("kiln_other_run", Kind::kFunction, 1), nullptr);
  EXPECT_EQ(object->Find(info_, Kind::kFunction, 1), nullptr);
  EXPECT_EQ(object->Find(run_, Kind::kData, 1), nullptr);
  EXPECT_EQ(object->Find(info_, Kind::kData, sizeof(kiln_info) + 1), nullptr);
}

TEST_F(ElfLoaderTest, RelocatesPointersInConstantData) {
  std::string error;
  EXPECT_TRUE(LoadedObject::Load(TestKernel("relocated"), error)) << error;
}

TEST_F(ElfLoaderTest, RefusesWhatAKernelMustNotHave) {
  EXPECT_EQ(ErrorOf(TestKernel("undefined_symbol")), "undefined symbol nobody_has_this");
  EXPECT_EQ(ErrorOf(TestKernel("thread_local_data")), "has thread-local data");
  EXPECT_EQ(ErrorOf(TestKernel("writable_data")), "has writable data");
  EXPECT_EQ(ErrorOf(TestKernel("constructor")), "has constructors");
  EXPECT_EQ(ErrorOf(TestKernel("gnu_hash")),
            "has no symbol table with DT_HASH (link with --hash-style=sysv)");
}

TEST_F(ElfLoaderTest, RefusesOtherFiles) {
  EXPECT_EQ(ErrorOf(""), "not an ELF file: shorter than its header");
  EXPECT_EQ(ErrorOf(std::string(1000, 'x')), "not an ELF file");
  EXPECT_EQ(ErrorAfter([](Elf64_Ehdr& h) { h.e_ident[EI_CLASS] = ELFCLASS32; }),
            "not a 64-bit little-endian ELF file");
  EXPECT_EQ(ErrorAfter([](Elf64_Ehdr& h) { h.e_type = ET_EXEC; }), "not a shared object");
  EXPECT_EQ(ErrorAfter([](Elf64_Ehdr& h) { h.e_machine = EM_RISCV; }).substr(0, 21),
            "built for machine 243");
}

TEST_F(ElfLoaderTest, RefusesSegmentsOutsideOfTheFile) {
  EXPECT_EQ(ErrorAfter([](Elf64_Ehdr& h) { h.e_phoff = ~0ull; }),
            "program headers lie outside of the file");
  EXPECT_EQ(ErrorAfter([](Elf64_Ehdr& h) { h.e_phnum = 0; }),
            "program headers lie outside of the file");
  EXPECT_EQ(ErrorAfterSegments(PT_LOAD, [](Elf64_Phdr& s) { s.p_offset = ~0ull; }),
            "a segment lies outside of the file");
  EXPECT_EQ(ErrorAfterSegments(PT_LOAD, [](Elf64_Phdr& s) { s.p_vaddr = ~0ull - 100; }),
            "a segment ends beyond 64 MiB");
  EXPECT_EQ(ErrorAfterSegments(PT_LOAD, [](Elf64_Phdr& s) { s.p_flags = PF_R | PF_W | PF_X; }),
            "a segment is writable and executable");
  EXPECT_EQ(ErrorAfterSegments(PT_LOAD, [](Elf64_Phdr& s) { s.p_flags &= ~PF_X; }),
            "has no executable segment");
  EXPECT_EQ(ErrorAfterSegments(PT_DYNAMIC, [](Elf64_Phdr& s) { s.p_vaddr = 1ull << 40; }),
            "the dynamic section lies outside of the segments");
}

TEST_F(ElfLoaderTest, EveryTruncationIsRefused) {
  const std::string object = TestKernel("good");
  Elf64_Ehdr header;
  std::memcpy(&header, object.data(), sizeof header);
  // Section headers and the symbols for debuggers lie behind what is loaded.
  std::uint64_t loaded = 0;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment,
                object.data() + header.e_phoff + static_cast<std::size_t>(i) * sizeof segment,
                sizeof segment);
    if (segment.p_type == PT_LOAD) loaded = std::max(loaded, segment.p_offset + segment.p_filesz);
  }
  ASSERT_GT(loaded, 0u);
  EXPECT_EQ(ErrorOf(object.substr(0, loaded)), "loaded");
  for (std::size_t size = 0; size < loaded; ++size) {
    ASSERT_NE(ErrorOf(object.substr(0, size)), "loaded") << size;
  }
}

// Run under the address sanitizer this also finds reads outside of the file.
TEST_F(ElfLoaderTest, DamagedObjectsAreLoadedOrRefused) {
  const std::string object = TestKernel("relocated");
  Rng rng(1);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string damaged = object;
    for (std::uint64_t flips = 1 + rng.Below(4); flips > 0; --flips) {
      damaged[rng.Below(damaged.size())] = static_cast<char>(rng.Next());
    }
    std::string error;
    const auto loaded = LoadedObject::Load(damaged, error);
    if (loaded) {
      loaded->Find(info_, Kind::kData, sizeof(kiln_info));
      loaded->Find(run_, Kind::kFunction, 1);
    } else {
      EXPECT_FALSE(error.empty());
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace kiln
