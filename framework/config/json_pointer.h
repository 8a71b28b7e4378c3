// JSON pointers (RFC 6901) as the configuration uses them: to find a source position, and to name
// a key to people ("/retriever/k1" is shown as "retriever.k1").
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace dbsa {

std::string append_pointer(std::string_view pointer, std::string_view key);
std::string parent_pointer(std::string_view pointer);
std::vector<std::string> split_pointer(std::string_view pointer);
// "retriever.k1"; array elements as "axes[2]"; keys that are no bare TOML keys are quoted.
std::string dotted_name(std::string_view pointer);
// The way back: "a.b" gives "/a/b".
std::string pointer_of_key(std::string_view dotted);
// Takes out what `pointer` leads to, if that is not the whole document.
void erase_at(std::string_view pointer, nlohmann::json& json);

}  // namespace dbsa
