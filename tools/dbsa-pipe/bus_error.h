// SIGBUS: a file that is mapped was cut short, or its disk failed, at the moment a byte of it was
// read. Packs are checked before they are read, so what is left is a file that shrinks while it is
// computed with. No result can come of that; the process says which file it was and ends.
#pragma once

namespace dbsa::cli {

// From now on a SIGBUS in mapped bytes ends the process with exit code 4 and the file's name.
void name_file_on_bus_error();

}  // namespace dbsa::cli
