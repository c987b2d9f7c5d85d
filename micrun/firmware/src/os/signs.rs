//! By which words a firmware gives its operating system away, one line each: banners and messages, which
//! survive `strip`, and functions that every firmware of that system has.

use super::Os;

/// A word of an operating system.
pub(crate) struct Sign {
    pub(crate) os: Os,
    /// Upper and lower case do not matter.
    pub(crate) word: &'static str,
    /// 2 is enough to believe it.
    pub(crate) weight: u32,
}

const fn sure(os: Os, word: &'static str) -> Sign {
    Sign { os, word, weight: 2 }
}

const fn hint(os: Os, word: &'static str) -> Sign {
    Sign { os, word, weight: 1 }
}

use Os::{FreeRtos, NuttX, Riot, RtThread, ThreadX, UBoot, UniProton, Zephyr};

#[rustfmt::skip]
pub(crate) const SIGNS: &[Sign] = &[
    sure(Zephyr,    "Booting Zephyr OS"),
    sure(Zephyr,    "ZEPHYR FATAL ERROR"),
    sure(Zephyr,    "Zephyr OS"),
    sure(Zephyr,    "Zephyr version"),
    sure(Zephyr,    "z_thread_entry\0"),
    sure(Zephyr,    "z_cstart\0"),
    hint(Zephyr,    "k_sys_fatal_error_handler"),
    hint(Zephyr,    "zephyr"),
    sure(FreeRtos,  "FreeRTOS V"),
    sure(FreeRtos,  "vTaskStartScheduler\0"),
    sure(FreeRtos,  "vTaskSwitchContext\0"),
    sure(FreeRtos,  "pxCurrentTCB"),
    hint(FreeRtos,  "Tmr Svc\0"),
    hint(FreeRtos,  "FreeRTOS"),
    hint(FreeRtos,  "\0IDLE\0"),
    sure(UniProton, "UniProton"),
    sure(UniProton, "PRT_TaskCreate\0"),
    sure(UniProton, "PRT_HwiCreate\0"),
    sure(UniProton, "OsTskSwitchHookCaller\0"),
    hint(UniProton, "OsHwiDispatch"),
    hint(UniProton, "IdleTask\0"),
    sure(NuttX,     "NuttShell"),
    sure(NuttX,     "nx_start\0"),
    sure(NuttX,     "nxsched_"),
    hint(NuttX,     "NuttX"),
    hint(NuttX,     "nsh> "),
    sure(RtThread,  "RT-Thread Operating System"),
    sure(RtThread,  "rtthread_startup\0"),
    sure(RtThread,  "rt_thread_startup\0"),
    hint(RtThread,  "- RT -     Thread"),
    hint(RtThread,  "RT-Thread"),
    hint(RtThread,  "msh >"),
    hint(RtThread,  "tidle"),
    sure(ThreadX,   "_tx_initialize_kernel_enter\0"),
    sure(ThreadX,   "_tx_thread_schedule\0"),
    sure(ThreadX,   "* ThreadX"),
    sure(ThreadX,   "* G-ThreadX"),
    hint(ThreadX,   "ThreadX"),
    hint(ThreadX,   "System Timer Thread\0"),
    sure(Riot,      "This is RIOT!"),
    sure(Riot,      "sched_active_thread\0"),
    hint(Riot,      "You are running RIOT"),
    hint(Riot,      "isrpipe_"),
    sure(UBoot,     "U-Boot 20"),
    sure(UBoot,     "U-Boot SPL"),
    sure(UBoot,     "__u_boot_list"),
    hint(UBoot,     "u-boot"),
];
