// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Cells} from "./Cells.sol";
import {Signatures} from "./Signatures.sol";

/// @notice What rules need of a parameter set. `data`, `oracles`, `underlyings` and `risk` are memory addresses inside its bytes.
struct Parameters {
    bytes32 hash;
    bytes32 separator;
    uint256 domain;
    uint256 chainId;
    /// The contract that orders are signed for and that pays withdrawals.
    uint256 custody;
    /// @dev 20 bytes each.
    uint256 oracles;
    uint256 oracleCount;
    uint256 oracleQuorum;
    uint256 receiptPeriodMs;
    uint256 adminDelayMs;
    /// @dev The whole encoding.
    uint256 data;
    uint256 length;
    /// @dev nameLength u8, name, then lotNanoCoin u64 and tickMicroUsd u64 for perpetual, future and option.
    uint256 underlyings;
    uint256 underlyingCount;
    /// @dev version u16, count u8 and spot moves i64, count u8 and tail moves i64, then scalars i64.
    uint256 risk;
    /// @dev From `risk` to the end.
    uint256 riskLength;
}

/// @title A parameter set as contract code
/// @notice Holds the canonical bytes (docs/spec/ledger.md, Parameter set) behind one zero byte, so that the account can never
/// be called. Written once, by its creation.
contract ParameterStore {
    constructor(bytes memory encoded) {
        assembly ("memory-safe") {
            // The low byte of the length word becomes the leading zero byte.
            let length := mload(encoded)
            mstore8(add(encoded, 31), 0)
            return(add(encoded, 31), add(length, 1))
        }
    }
}

/// @title Reading a parameter set
/// @dev Warning: the bytes are trusted to be a valid encoding once their hash is the one in the state's globals: callers
/// compare `hash`. Bytes that are too short revert, so that no field is ever read from elsewhere.
library ParameterReader {
    error ParametersMalformed();
    error ParametersMismatch(bytes32 stored);

    uint256 private constant HEAD_BYTES = 35;
    uint256 private constant UNDERLYING_KIND_BYTES = 48;
    /// @dev Bytes of the risk part up to its scalars, with 9 spot and 8 tail moves.
    uint256 internal constant RISK_SCALARS = 140;
    uint256 internal constant RISK_SCALAR_COUNT = 38;
    uint256 private constant RISK_SPOT_MOVES = 3;
    uint256 internal constant SPOT_MOVE_COUNT = 9;

    // Places in SCALAR_RANGES of packages/ledger/src/risk/parameters.ts.
    uint256 internal constant MAINTENANCE_FACTOR_PPB = 15;
    uint256 internal constant OPTION_CONCENTRATION_LOTS = 20;
    uint256 internal constant LINEAR_CONCENTRATION_LOTS = 21;
    uint256 internal constant PREMIUM_TIME_CONSTANT_MS = 23;
    uint256 internal constant INDEX_AVERAGE_TIME_CONSTANT_MS = 24;
    uint256 internal constant FUNDING_DEAD_BAND_PPB = 25;
    uint256 internal constant FUNDING_CAP_PPB = 26;
    uint256 internal constant FUNDING_PERIOD_MS = 27;
    uint256 internal constant OPTION_FEE_PRICE_DIVISOR = 30;
    uint256 internal constant MARK_AGE_MAX_MS = 31;
    uint256 internal constant LIQUIDATION_PENALTY_PPB = 32;
    uint256 internal constant LIQUIDATION_BOUND_PPB = 33;
    uint256 internal constant LIQUIDATION_SLICE_MICRO_USDC = 34;
    uint256 internal constant AUCTION_DURATION_MS = 35;
    uint256 internal constant CREDIT_POOL_FACTOR_PPB = 36;
    uint256 internal constant CREDIT_ACCOUNT_MAX_MICRO_USDC = 37;

    function load(address store) internal view returns (Parameters memory parameters) {
        uint256 size = store.code.length;
        if (size < 1 + HEAD_BYTES) revert ParametersMalformed();
        uint256 length = size - 1;
        uint256 offset;
        bytes32 hash;
        assembly ("memory-safe") {
            offset := mload(0x40)
            mstore(0x40, and(add(add(offset, length), 63), not(31)))
            extcodecopy(store, offset, 1, length)
            hash := keccak256(offset, length)
        }
        parameters.hash = hash;
        _parse(parameters, offset, offset + length);
    }

    function _parse(Parameters memory parameters, uint256 offset, uint256 end) private pure {
        parameters.data = offset;
        parameters.length = end - offset;
        parameters.domain = Cells.read(offset + 2, 4);
        parameters.chainId = Cells.read(offset + 6, 8);
        parameters.custody = uint256(uint160(Cells.readAddress(offset + 14)));
        parameters.separator = Signatures.domainSeparator(parameters.chainId, Cells.readAddress(offset + 14));
        parameters.oracleCount = Cells.read8(offset + 34);
        parameters.oracles = offset + HEAD_BYTES;
        offset += HEAD_BYTES + 20 * parameters.oracleCount;
        if (offset + 58 > end) revert ParametersMalformed();
        parameters.oracleQuorum = Cells.read8(offset);
        parameters.receiptPeriodMs = Cells.read(offset + 41, 8);
        parameters.adminDelayMs = Cells.read(offset + 49, 8);
        parameters.underlyingCount = Cells.read8(offset + 57);
        offset += 58;
        parameters.underlyings = offset;
        for (uint256 i = 0; i < parameters.underlyingCount; ++i) {
            if (offset >= end) revert ParametersMalformed();
            offset += 1 + Cells.read8(offset) + UNDERLYING_KIND_BYTES;
        }
        if (offset + RISK_SCALARS + 8 * RISK_SCALAR_COUNT != end) revert ParametersMalformed();
        parameters.risk = offset;
        parameters.riskLength = end - offset;
    }

    /// @notice Reverts unless the state is one of these parameters.
    function requireOf(Parameters memory parameters, uint256 globals) internal pure {
        if (Cells.readWord(globals + Cells.GLOBALS_PARAMETERS_HASH) != parameters.hash) {
            revert ParametersMismatch(parameters.hash);
        }
    }

    function oracle(Parameters memory parameters, uint256 signer) internal pure returns (address) {
        return Cells.readAddress(parameters.oracles + 20 * signer);
    }

    /// @notice Address of the underlying's contract sizes: (lotNanoCoin u64, tickMicroUsd u64) of perpetual, future, option.
    /// @dev `underlying` < underlyingCount.
    function contractSizes(Parameters memory parameters, uint256 underlying) internal pure returns (uint256 offset) {
        offset = parameters.underlyings;
        for (uint256 i = 0; i < underlying; ++i) {
            offset += 1 + Cells.read8(offset) + UNDERLYING_KIND_BYTES;
        }
        offset += 1 + Cells.read8(offset);
    }

    function scalar(Parameters memory parameters, uint256 place) internal pure returns (int256) {
        return Cells.readSigned64(parameters.risk + RISK_SCALARS + 8 * place);
    }

    function spotMovePpb(Parameters memory parameters, uint256 place) internal pure returns (int256) {
        return Cells.readSigned64(parameters.risk + RISK_SPOT_MOVES + 8 * place);
    }
}
