// What the answers of a run depend on, so that a report averages no two runs that answer
// differently.
//
// A record says it itself (`identity`): `group` is all that answers depend on except the draw,
// `draw` names the demonstrations that were drawn and the seeds. For records of an earlier version,
// which have no identity, it is put together from what else they say.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace dbsa {

class ReportFields;
struct ReportRun;

struct PluginUse {
  std::string stage, id, library_hash;
  int64_t revision = 0;
};

struct ReportIdentity {
  bool recorded = false;                              // by the run; else see complete_identities
  std::string group, draw;                            // two runs of equal ones repeat each other
  std::map<std::string, std::string> inputs, stages;  // name -> hash
  std::set<std::string> outside_group;  // dotted keys of config that tell no groups apart
  std::vector<PluginUse> plugins;
  std::string pool_hash;  // of the demonstrations in the pool
};

// From a record. Queries: a hash of lines, texts and labels, used where there is no identity.
void read_identity(const ReportFields& fields, const std::string& queries,
                   ReportIdentity& identity);

// Gives runs without an identity a group and a draw, from configuration, model, tokenizer, plugins,
// demonstrations and queries. Whether runs of different seeds drew from the same file cannot be
// told; where two of equal seeds did not, runs of different demonstrations are all kept apart.
void complete_identities(std::span<ReportRun> runs);

// "a1b2..": as few digits as tell the hashes apart, at least four; as many texts as hashes.
std::vector<std::string> short_hashes(const std::vector<std::string>& hashes);

}  // namespace dbsa
