#pragma once

#include <string>
#include <vector>

namespace kiln {

// What is wrong with a text as an XML document of elements, attributes in double quotes and text,
// which is all that our SVG has; empty: nothing. Written apart from what makes it.
std::string FaultOfXml(const std::string& text);

// The text of all elements of this name, as it is written.
std::vector<std::string> TextsOf(const std::string& svg, const std::string& element);

}  // namespace kiln
