#include <algorithm>
#include <cassert>
#include <utility>

#include "kernels_templates/kernel_template.h"

namespace kiln {
namespace {

using Templates = std::span<const std::shared_ptr<const KernelTemplate>>;

std::string JoinedNames(Templates templates) {
  std::string names;
  for (const auto& known : templates) {
    names.append(names.empty() ? "" : ", ").append(known->name());
  }
  return names.empty() ? "none" : names;
}

}  // namespace

void TemplateRegistry::Register(std::shared_ptr<const KernelTemplate> kernel_template) {
  assert(kernel_template != nullptr);
  const auto same = std::ranges::find_if(
      templates_, [&](const auto& known) { return known->name() == kernel_template->name(); });
  if (same != templates_.end()) templates_.erase(same);
  templates_.push_back(std::move(kernel_template));
}

StatusOr<std::shared_ptr<const KernelTemplate>> TemplateRegistry::Find(
    std::string_view name) const {
  const auto found =
      std::ranges::find_if(templates_, [&](const auto& known) { return known->name() == name; });
  if (found == templates_.end()) {
    return Error(StatusCode::kNotFound, "no template named ", name,
                 "; known: ", JoinedNames(templates_));
  }
  return *found;
}

StatusOr<std::shared_ptr<const KernelTemplate>> TemplateRegistry::For(const TaskSpec& spec) const {
  const auto found = std::find_if(templates_.rbegin(), templates_.rend(),
                                  [&](const auto& known) { return known->Supports(spec); });
  if (found == templates_.rend()) {
    return Error(StatusCode::kUnimplemented, "no template computes ", Key(spec.workload), " on ",
                 spec.target.name, "; known: ", JoinedNames(templates_));
  }
  return *found;
}

}  // namespace kiln
