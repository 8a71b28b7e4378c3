// HDF5's driver of plain files, without its file locks.
//
// The packs' locks are ours (store_lock.h). HDF5 would take its own besides, on the same file, and
// fail: the environment variable HDF5_USE_FILE_LOCKING, which cluster profiles set, overrides what
// H5Pset_file_locking asks for. A driver without lock functions cannot lock, with any setting.
#pragma once

#include <hdf5.h>

#include <string>

namespace dbsa::kv_pack {

// Makes `access`, a list of file access properties, open files with such a driver. `path`: a file
// that is there, which HDF5's driver is asked for its functions. False where HDF5 fails.
bool set_unlocked_driver(hid_t access, const std::string& path);

}  // namespace dbsa::kv_pack
