#include "firmware-agent/platform/library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef LEAT_INSTALLED_DRIVERS
#define LEAT_INSTALLED_DRIVERS "/usr/lib/leat/drivers"
#endif

static leat_code symbol_of(const char *path, const char *symbol, const void **out_symbol, leat_error *out_error)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return leat_error_at(out_error, LEAT_E_INVALID, path, "cannot be loaded: %s", dlerror());
    *out_symbol = dlsym(library, symbol);
    return *out_symbol ? LEAT_OK : leat_error_at(out_error, LEAT_E_INVALID, path, "has no symbol '%s'", symbol);
}

static bool beside_executable(const char *name, char out_path[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    if (size <= 0)
        return false;
    self[size] = 0;
    char *slash = strrchr(self, '/');
    if (!slash)
        return false;
    *slash = 0;
    return snprintf(out_path, PATH_MAX, "%s/drivers/%s", self, name) < PATH_MAX && access(out_path, R_OK) == 0;
}

leat_code leat_library_driver(leat_env *env, const char *name, const char *symbol, const void **out_symbol,
                              leat_error *out_error)
{
    (void)env;
    char path[PATH_MAX];
    const char *folder = getenv("LEAT_DRIVERS");
    if (folder && snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && access(path, R_OK) == 0)
        return symbol_of(path, symbol, out_symbol, out_error);
    if (beside_executable(name, path))
        return symbol_of(path, symbol, out_symbol, out_error);
    snprintf(path, sizeof path, "%s/%s", LEAT_INSTALLED_DRIVERS, name);
    if (access(path, R_OK) == 0)
        return symbol_of(path, symbol, out_symbol, out_error);
    return leat_error_set(out_error, LEAT_E_NOT_FOUND,
                          "driver library '%s' is neither beside the program (drivers/) nor in %s", name,
                          LEAT_INSTALLED_DRIVERS);
}

static leat_code check_owner(leat_env *env, const char *path, leat_error *out_error)
{
    leat_file_stat stat;
    leat_code code = env->ops->path_stat(env, path, &stat, out_error);
    if (code != LEAT_OK)
        return code;
    uint32_t self = geteuid();
    if (stat.owner != 0 && (self == 0 || stat.owner != self))
        return leat_error_at(out_error, LEAT_E_PERMISSION, path, "must belong to root, not to user %u", stat.owner);
    if (stat.mode & 022)
        return leat_error_at(out_error, LEAT_E_PERMISSION, path,
                             "must not be writable by group or others (mode is %04o)", stat.mode & 07777);
    return LEAT_OK;
}

leat_code leat_library_owner(leat_env *env, const char *path, const char *symbol, const void **out_symbol,
                             leat_error *out_error)
{
    char real[PATH_MAX], folder[PATH_MAX];
    if (!realpath(path, real))
        return leat_error_at(out_error, LEAT_E_NOT_FOUND, path, "no such function library");
    snprintf(folder, sizeof folder, "%s", real);
    *strrchr(folder, '/') = 0;
    leat_code code = check_owner(env, folder[0] ? folder : "/", out_error);
    if (code == LEAT_OK)
        code = check_owner(env, real, out_error);
    return code == LEAT_OK ? symbol_of(real, symbol, out_symbol, out_error) : code;
}
