// The sentences of a report.
#pragma once

#include <string>

#include "report/report.h"

namespace dbsa {

// What was run, with what, where and when.
std::string lead_text(const Report& report);
// How a study went.
std::string study_summary(const Study& study);
ReportSection method_section();

}  // namespace dbsa
