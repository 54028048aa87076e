// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../../src/chain/IBatchChain.sol";
import {IReceiptCourt, ReceiptClaim} from "../../src/receipts/IReceiptCourt.sol";

/// @notice Final states at chosen times: what a run of the differential test decides for one claim.
struct Script {
    uint64[] timesMs;
    bytes32 root;
    uint64 dropAt;
    bool frozen;
}

/// @notice Chain, custody and escape at once, for eth_call: the script lives in the call that judges.
contract ScriptedVenue {
    Script private _script;

    function run(Script calldata script, IReceiptCourt court, ReceiptClaim calldata claimed)
        external
        returns (uint8 verdict, uint256 damage)
    {
        _script = script;
        return court.judge(claimed);
    }

    function custody() external view returns (address) {
        return address(this);
    }

    function token() external view returns (address) {
        return address(this);
    }

    function domain() external pure returns (uint32) {
        return 1;
    }

    function lastFinal() public view returns (uint64) {
        return uint64(_script.timesMs.length - 1);
    }

    function batch(uint64 number) external view returns (Batch memory record) {
        record.timeMs = _script.timesMs[number];
    }

    function finalRoot(uint64) external view returns (bytes32) {
        return _script.root;
    }

    function lastDropAt() external view returns (uint64) {
        return _script.dropAt;
    }

    function windowSecondsMax() external pure returns (uint64) {
        return 1;
    }

    function unbondingSeconds() external pure returns (uint64) {
        return 365 days;
    }

    function isFrozen() external view returns (bool) {
        return _script.frozen;
    }

    function anchor() external view returns (uint64 batchNumber, bytes32 root, bool settled) {
        return (lastFinal(), _script.root, true);
    }
}
