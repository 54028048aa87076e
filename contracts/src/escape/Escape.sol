// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBatchChain} from "../chain/IBatchChain.sol";
import {ICustody} from "../custody/ICustody.sol";
import {OutboxCell} from "../custody/OutboxCell.sol";
import {StateParts} from "../dispute/IDispute.sol";
import {Cells} from "../lib/Cells.sol";
import {Limits} from "../lib/Limits.sol";
import {MerklePath} from "../lib/MerklePath.sol";
import {OutboxLeaf} from "../lib/OutboxLeaf.sol";
import {AnchorReader} from "./AnchorReader.sol";
import {ClosingMarks} from "./ClosingMarks.sol";
import {EntitlementKind, EscapePhase, EscapeTerms, IEscape, IEscapeBackstop} from "./IEscape.sol";

/// @title The end of a failed venue: everybody leaves by proof, with the same share of what there is
/// @notice docs/spec/settlement.md, Escape, is the course; ADR 046 the order of payments. A venue that misses the deadline of
/// a forced entry is frozen by anyone; a late fraud proof freezes it too. What was posted still becomes final or is dropped;
/// then the last final state, or the one before the first proven wrong, is the anchor. Oracles sign one closing mark an
/// instrument; accounts, unclaimed withdrawals and unconsumed deposits register by proof; then each is paid
/// floor(amount · min(1, vault / Σ registered)). Treasury and insurance come last. Nothing has an owner and every step is
/// anybody's; the money goes where the state says.
///
/// @dev Warning: oracles that sign wrong closing marks move money between accounts, as their reports did before.
/// @dev Warning: a state that nobody proved wrong until the books are closed is paid out as it is.
/// @dev Warning: who registers in time shares with who registered in time; who comes late takes from what is then left.
/// @dev Warning: tokens that reach the vault after the books are closed stay there.
contract Escape is IEscape, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using ClosingMarks for ClosingMarks.Store;

    event MissedEntry(uint64 indexed index, uint64 deadline);
    event LateFraud(uint64 indexed batchNumber, bool isInTime);
    event AnchorFixed(uint64 indexed round, uint64 indexed batchNumber, bytes32 root, uint64 fixedAt);
    event AnchorDiscarded(uint64 indexed round, uint64 indexed batchNumber);
    event PaidBeyondAnchor(
        uint64 indexed round, uint32 indexed withdrawalNumber, uint24 indexed account, uint64 amount
    );
    event Registered(
        uint64 indexed round,
        EntitlementKind indexed kind,
        uint64 indexed number,
        address beneficiary,
        uint256 amount,
        bool isLate
    );
    event Closed(uint64 indexed round, uint256 vault, uint256 registered);
    event Paid(
        uint64 indexed round, EntitlementKind indexed kind, uint64 indexed number, address beneficiary, uint256 amount
    );

    error CustodyNamesAnotherEscape(address escape);
    error BatchChainDiffers(address batchChain);
    error PeriodZero();

    error CallerNotDispute(address caller);
    error EntryNotForced(uint64 index);
    error DeadlineNotPassed(uint64 index, uint256 deadline);
    error EntryConsumed(uint64 index);
    error WrongPhase(EscapePhase phase);
    error BadQuorum();
    error BatchesPending(uint64 lastFinal, uint64 lastNumber);
    error StatePartsMismatch(bytes32 root);
    error AlreadyRegistered(EntitlementKind kind, uint64 number);
    error NothingToRegister(EntitlementKind kind, uint64 number);
    error AmountOutOfRange(uint256 amount);
    error WithdrawalNotInAnchor(uint32 withdrawalNumber);
    error WithdrawalClaimed(uint32 withdrawalNumber);
    error AssetUnknown(uint16 asset);
    error ChainMismatch(uint64 destinationChain);
    error PathLength(uint256 length);
    error NotBeyondAnchor(uint32 withdrawalNumber);
    error NotClaimedSo(uint32 withdrawalNumber);
    error AlreadyShown(uint32 withdrawalNumber);
    error NotTheOwnersWish(uint24 account, address recipient);
    error EntryMismatch(uint64 index);
    error EntryNotDeposit(uint64 index);
    error DepositConsumed(uint64 index);
    error DepositReturned(uint64 index);
    error AccountNotRegistered(uint24 account);
    error NotRegistered(EntitlementKind kind, uint64 number);
    error AlreadyPaid(EntitlementKind kind, uint64 number);
    error PoolNotYetGivenUp(uint256 time);

    /// @dev One slot. Amounts are below 2^80 in any valid state.
    struct Entitlement {
        address beneficiary;
        uint88 amount;
        uint8 status;
    }

    /// @notice The state that everybody leaves by.
    struct Anchor {
        uint64 batchNumber;
        /// @dev In seconds; 0 = not fixed.
        uint64 fixedAt;
        uint64 inboundCursor;
        uint32 outboxCount;
        bytes32 root;
        bytes32 outboxRoot;
        /// @dev ParameterStore of the anchor's parameter set, made when the anchor was fixed.
        address parameters;
    }

    /// @notice Micro-USDC of the books of one round.
    struct Books {
        /// @dev Σ registered in time, treasury and insurance left out.
        uint256 registered;
        /// @dev Σ registered late, the same left out.
        uint256 registeredLate;
        /// @dev What the vault held when the books were closed, the pool's money included.
        uint256 vault;
        /// @dev In seconds; 0 = open.
        uint64 closedAt;
    }

    uint8 private constant IN_TIME = 1;
    uint8 private constant LATE = 2;
    uint8 private constant PAID = 3;
    uint8 private constant ENTRY_DEPOSIT = 2;
    uint256 private constant DEPOSIT_ENTRY_BYTES = 32;
    uint24 private constant TREASURY_ACCOUNT = 0;
    uint24 private constant INSURANCE_ACCOUNT = 1;

    IBatchChain public immutable batchChain;
    ICustody public immutable custody;
    IERC20 public immutable token;
    /// @notice Only caller of `lateFraud`; zero = nobody.
    address public immutable dispute;
    /// @notice Asked for a shortfall before anybody is cut; zero = none.
    IEscapeBackstop public immutable pool;
    /// @notice ParameterStore of genesis.
    address public immutable parameters;
    /// @notice Made by this contract; reads states and parameters for it.
    AnchorReader public immutable reader;
    uint64 public immutable markSeconds;
    uint64 public immutable registrationSeconds;
    uint64 public immutable lateSeconds;

    /// @notice In seconds; 0 = the venue lives.
    uint64 public frozenAt;
    /// @notice Grows when an anchor is discarded: nothing that was registered under it counts any more.
    uint64 public round;
    /// @notice Number of the first batch that a late fraud proof named; all ones while there is none.
    uint64 public firstWrong = type(uint64).max;
    Anchor private _anchor;
    mapping(uint64 round => Books) private _booksOf;
    mapping(uint64 round => ClosingMarks.Store) private _marksOf;
    mapping(uint64 round => mapping(EntitlementKind kind => mapping(uint64 number => Entitlement))) private
        _entitlements;
    /// @dev What an account was paid by claims beyond the anchor and is not yet set against what it registers.
    mapping(uint64 round => mapping(uint24 account => uint256)) private _paidBeyond;
    mapping(uint64 round => mapping(uint32 withdrawalNumber => bool)) private _isShown;
    mapping(uint64 round => mapping(uint64 index => bool)) private _isReturned;
    /// @dev Nonces of signed withdrawals that were shown as paid.
    mapping(uint64 round => mapping(uint24 account => mapping(uint64 nonce => bool))) private _isWishUsed;

    modifier during(EscapePhase wanted) {
        EscapePhase now_ = phase();
        if (now_ != wanted) revert WrongPhase(now_);
        _;
    }

    constructor(EscapeTerms memory terms) {
        if (terms.custody.escape() != address(this)) revert CustodyNamesAnotherEscape(terms.custody.escape());
        if (address(terms.custody.batchChain()) != address(terms.batchChain)) {
            revert BatchChainDiffers(address(terms.batchChain));
        }
        if (terms.registrationSeconds == 0 || terms.markSeconds == 0 || terms.lateSeconds == 0) revert PeriodZero();
        batchChain = terms.batchChain;
        custody = terms.custody;
        token = terms.custody.token();
        dispute = terms.dispute;
        pool = IEscapeBackstop(terms.pool);
        parameters = terms.parameters;
        reader = new AnchorReader();
        registrationSeconds = terms.registrationSeconds;
        markSeconds = terms.markSeconds;
        lateSeconds = terms.lateSeconds;
    }

    // ── freeze ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Freezes a venue that did not consume the forced entry at `index` in time. Posting is consuming; a drop takes
    /// it back and gives the whole period again.
    function freezeForMissedEntry(uint64 index) external nonReentrant during(EscapePhase.LIVE) {
        uint256 deadline = custody.forcedDeadlineOf(index);
        if (deadline == 0) revert EntryNotForced(index);
        uint256 afterDrop = uint256(batchChain.lastDropAt()) + custody.forcedPeriodSeconds();
        if (afterDrop > deadline) deadline = afterDrop;
        if (block.timestamp <= deadline) revert DeadlineNotPassed(index, deadline);
        if (batchChain.batch(batchChain.lastNumber()).inboundCursor > index) revert EntryConsumed(index);
        emit MissedEntry(index, uint64(deadline));
        _freeze();
    }

    /// @inheritdoc IEscape
    /// @dev Never reverts for the dispute contract: after the books are closed the proof changes nothing here, but its other
    /// consequences follow.
    function lateFraud(uint64 batchNumber) external nonReentrant {
        if (msg.sender != dispute) revert CallerNotDispute(msg.sender);
        bool isInTime = _booksOf[round].closedAt == 0;
        emit LateFraud(batchNumber, isInTime);
        if (!isInTime) return;
        if (batchNumber < firstWrong) firstWrong = batchNumber;
        if (frozenAt == 0) _freeze();
        if (_anchor.fixedAt == 0 || _anchor.batchNumber < batchNumber) return;
        emit AnchorDiscarded(round, _anchor.batchNumber);
        delete _anchor;
        ++round;
    }

    function _freeze() private {
        frozenAt = uint64(block.timestamp);
        custody.freeze();
    }

    // ── anchor ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Fixes the state that everybody leaves by, once no posted batch is pending before it.
    /// @param store ParameterStore of the state's parameters; zero = the one of genesis
    function fixAnchor(StateParts calldata state, address store) external nonReentrant during(EscapePhase.RESOLVING) {
        (uint64 lastFinal, uint64 lastNumber) = (batchChain.lastFinal(), batchChain.lastNumber());
        uint64 number = lastFinal;
        if (firstWrong <= lastFinal) number = firstWrong - 1;
        // Before the first wrong one everything is final already, or is all that is left.
        else if (lastFinal != lastNumber && lastFinal + 1 != firstWrong) revert BatchesPending(lastFinal, lastNumber);
        bytes32 root = batchChain.finalRoot(number);
        bytes memory globals = state.globals;
        bytes32 given = keccak256(
            abi.encode(
                state.accountsRoot, state.instrumentsRoot, state.underlyingsRoot, state.outboxRoot, keccak256(globals)
            )
        );
        if (given != root || globals.length != Cells.GLOBALS_BYTES) revert StatePartsMismatch(root);
        uint256 data;
        assembly ("memory-safe") {
            data := add(globals, 32)
        }
        if (store == address(0)) store = parameters;
        store = reader.copyParameters(store, globals);
        uint64 fixedAt = uint64(block.timestamp);
        _anchor = Anchor({
            batchNumber: number,
            fixedAt: fixedAt,
            inboundCursor: uint64(Cells.read(data + Cells.GLOBALS_INBOUND_CURSOR, 8)),
            outboxCount: uint32(Cells.read(data + Cells.GLOBALS_OUTBOX_COUNT, 4)),
            root: root,
            outboxRoot: state.outboxRoot,
            parameters: store
        });
        emit AnchorFixed(round, number, root, fixedAt);
    }

    /// @notice Takes a set of closing marks signed by the oracle quorum of the anchor's parameters. Instruments that have
    /// their mark keep it.
    /// @param marks (instrument u24, mark u40)…, big-endian, instruments strictly increasing
    /// @param signatures count u8, (signer u8, signature 64)…
    function setClosingMarks(bytes calldata marks, bytes calldata signatures)
        external
        nonReentrant
        during(EscapePhase.MARKING)
    {
        bytes32[4] memory words = [
            bytes32(uint256(_anchor.batchNumber)), _anchor.root, bytes32(uint256(_anchor.fixedAt)), keccak256(marks)
        ];
        if (!reader.isQuorum(_anchor.parameters, ClosingMarks.TYPE_HASH, words, signatures)) revert BadQuorum();
        _marksOf[round].set(round, marks);
    }

    // ── what was paid beyond the anchor ────────────────────────────────────────────────────────────────────────────

    /// @notice A withdrawal that the anchor does not know was claimed and went to its account's owner, or to somebody whom he
    /// forced a withdrawal to: the account gets so much less here. Only after a late fraud.
    function showPaid(uint32 withdrawalNumber, OutboxCell calldata cell)
        external
        nonReentrant
        during(EscapePhase.MARKING)
    {
        bool isHis = cell.recipient == custody.ownerOf(cell.account)
            || custody.hasForcedTo(cell.account, cell.recipient);
        if (!isHis) revert NotTheOwnersWish(cell.account, cell.recipient);
        _showPaid(withdrawalNumber, cell);
    }

    /// @notice The same for a withdrawal that the owner signed.
    function showPaidAsSigned(
        uint32 withdrawalNumber,
        OutboxCell calldata cell,
        uint64 nonce,
        uint64 expiryMs,
        bytes calldata signature
    ) external nonReentrant during(EscapePhase.MARKING) {
        uint256[6] memory words = [
            cell.asset, cell.amount, cell.destinationChain, uint256(uint160(cell.recipient)), nonce, expiryMs
        ];
        address signer = reader.withdrawalSigner(_anchor.parameters, cell.account, words, signature);
        // One signature is one wish: the recipient may have been paid by it twice, the owner wanted it once.
        if (signer == address(0) || signer != custody.ownerOf(cell.account) || _isWishUsed[round][cell.account][nonce])
        {
            revert NotTheOwnersWish(cell.account, cell.recipient);
        }
        _isWishUsed[round][cell.account][nonce] = true;
        _showPaid(withdrawalNumber, cell);
    }

    /// @notice A deposit beyond the anchor that the ledger sent back to its payer was claimed: it does not register.
    function showReturned(uint32 withdrawalNumber, OutboxCell calldata cell, uint64 index, bytes calldata entry)
        external
        nonReentrant
        during(EscapePhase.MARKING)
    {
        (uint24 account, uint256 amount, address payer) = _deposit(index, entry);
        bool isIt = account == cell.account && amount == cell.amount && payer == cell.recipient;
        if (!isIt || _isReturned[round][index]) revert EntryMismatch(index);
        _isReturned[round][index] = true;
        _markShown(withdrawalNumber, cell);
    }

    function _showPaid(uint32 withdrawalNumber, OutboxCell calldata cell) private {
        _markShown(withdrawalNumber, cell);
        _paidBeyond[round][cell.account] += cell.amount;
    }

    function _markShown(uint32 withdrawalNumber, OutboxCell calldata cell) private {
        if (withdrawalNumber < _anchor.outboxCount) revert NotBeyondAnchor(withdrawalNumber);
        if (custody.claimedLeafOf(withdrawalNumber) != OutboxLeaf.hash(cell)) revert NotClaimedSo(withdrawalNumber);
        if (_isShown[round][withdrawalNumber]) revert AlreadyShown(withdrawalNumber);
        _isShown[round][withdrawalNumber] = true;
        emit PaidBeyondAnchor(round, withdrawalNumber, cell.account, cell.amount);
    }

    // ── registration ───────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Registers what an account is worth at the closing marks for its owner.
    /// @param witness state witness of the account without its order ring and the instruments of its positions
    function registerAccount(uint24 account, bytes calldata witness) external nonReentrant {
        (address owner, int256 equity) = reader.equityOf(_anchor.root, account, witness);
        if (account <= INSURANCE_ACCOUNT) return _registerJunior(account, owner, equity > 0 ? uint256(equity) : 0);
        uint256 amount = equity > 0 ? uint256(equity) : 0;
        // One that was paid registers whatever it is worth: deposits into it wait for that.
        if (amount == 0 && _paidBeyond[round][account] == 0) {
            revert NothingToRegister(EntitlementKind.ACCOUNT, account);
        }
        _register(EntitlementKind.ACCOUNT, account, owner, _lessPaid(account, amount));
    }

    /// @notice Registers a withdrawal of the anchor's outbox that was not claimed for its recipient.
    /// @param path the 32 siblings from the leaf up
    function registerWithdrawal(uint32 withdrawalNumber, OutboxCell calldata cell, bytes32[] calldata path)
        external
        nonReentrant
    {
        if (path.length != Limits.OUTBOX_TREE_DEPTH) revert PathLength(path.length);
        bytes32 leaf = OutboxLeaf.hash(cell);
        if (MerklePath.root(leaf, withdrawalNumber, path) != _anchor.outboxRoot) {
            revert WithdrawalNotInAnchor(withdrawalNumber);
        }
        if (cell.asset != 0) revert AssetUnknown(cell.asset);
        if (cell.destinationChain != block.chainid) revert ChainMismatch(cell.destinationChain);
        // Under a wrong root another withdrawal may have been claimed by this number: this one is still owed.
        if (custody.claimedLeafOf(withdrawalNumber) == leaf) revert WithdrawalClaimed(withdrawalNumber);
        _register(EntitlementKind.WITHDRAWAL, withdrawalNumber, cell.recipient, cell.amount);
    }

    /// @notice Registers a deposit that the anchor has not consumed for its payer.
    function registerDeposit(uint64 index, bytes calldata entry) external nonReentrant {
        (uint24 account, uint256 amount, address payer) = _deposit(index, entry);
        if (_isReturned[round][index]) revert DepositReturned(index);
        // What the account was paid is set against the account first, or its owner could have others bear it.
        bool isFirst = _entitlements[round][EntitlementKind.ACCOUNT][account].status == 0;
        if (isFirst && _paidBeyond[round][account] > 0) revert AccountNotRegistered(account);
        _register(EntitlementKind.DEPOSIT, index, payer, _lessPaid(account, amount));
    }

    /// @dev The queue's hash before and after an entry prove it.
    function _deposit(uint64 index, bytes calldata entry)
        private
        view
        returns (uint24 account, uint256 amount, address payer)
    {
        bytes32 hash = keccak256(abi.encodePacked(custody.queueHash(index), keccak256(entry)));
        if (index >= custody.queueLength() || custody.queueHash(index + 1) != hash) revert EntryMismatch(index);
        if (uint8(entry[0]) != ENTRY_DEPOSIT || entry.length != DEPOSIT_ENTRY_BYTES) revert EntryNotDeposit(index);
        if (index < _anchor.inboundCursor) revert DepositConsumed(index);
        account = uint24(bytes3(entry[1:4]));
        amount = uint64(bytes8(entry[4:12]));
        payer = address(bytes20(entry[12:32]));
    }

    /// @dev Sets what was shown as paid against the amount, once. What is paid already registers with 0, so that the rest is
    /// set against the account's other claims.
    function _lessPaid(uint24 account, uint256 amount) private returns (uint256) {
        uint256 paid = _paidBeyond[round][account];
        uint256 part = paid < amount ? paid : amount;
        if (part > 0) _paidBeyond[round][account] = paid - part;
        return amount - part;
    }

    function _register(EntitlementKind kind, uint64 number, address beneficiary, uint256 amount) private {
        EscapePhase now_ = phase();
        if (now_ != EscapePhase.REGISTERING && now_ != EscapePhase.PAYING) revert WrongPhase(now_);
        bool isLate = now_ == EscapePhase.PAYING;
        _write(kind, number, beneficiary, amount, isLate);
        Books storage books = _booksOf[round];
        if (isLate) books.registeredLate += amount;
        else books.registered += amount;
    }

    /// @dev Treasury and insurance wait for all others, so it is all the same when they register. The insurance takes the
    /// rest whatever it is worth.
    function _registerJunior(uint24 account, address owner, uint256 amount) private {
        EscapePhase now_ = phase();
        bool isOpen = now_ >= EscapePhase.REGISTERING && (now_ != EscapePhase.RESIDUAL || account == INSURANCE_ACCOUNT);
        if (!isOpen) revert WrongPhase(now_);
        if (amount == 0 && account == TREASURY_ACCOUNT) revert NothingToRegister(EntitlementKind.ACCOUNT, account);
        _write(EntitlementKind.ACCOUNT, account, owner, amount, now_ >= EscapePhase.PAYING);
    }

    function _write(EntitlementKind kind, uint64 number, address beneficiary, uint256 amount, bool isLate) private {
        if (amount > type(uint88).max) revert AmountOutOfRange(amount);
        Entitlement storage entitlement = _entitlements[round][kind][number];
        if (entitlement.status != 0) revert AlreadyRegistered(kind, number);
        entitlement.beneficiary = beneficiary;
        entitlement.amount = uint88(amount);
        entitlement.status = isLate ? LATE : IN_TIME;
        emit Registered(round, kind, number, beneficiary, amount, isLate);
    }

    // ── payment ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Closes the books: asks the pool for the shortfall and fixes the share that everybody is paid.
    function close() external nonReentrant during(EscapePhase.CLOSABLE) {
        uint256 vault = token.balanceOf(address(custody));
        uint256 registered = _booksOf[round].registered;
        if (address(pool) != address(0)) {
            // Told even that nothing is missing: it keeps its money together until then.
            pool.coverEscape(registered > vault ? registered - vault : 0);
            uint256 received = token.balanceOf(address(this));
            if (received > 0) token.safeTransfer(address(custody), received);
        }
        _close();
    }

    /// @notice The same without the pool, should it never answer.
    function closeWithoutPool() external nonReentrant during(EscapePhase.CLOSABLE) {
        uint256 time = uint256(registrationUntil()) + lateSeconds;
        if (block.timestamp < time) revert PoolNotYetGivenUp(time);
        _close();
    }

    function _close() private {
        Books storage books = _booksOf[round];
        books.vault = token.balanceOf(address(custody));
        books.closedAt = uint64(block.timestamp);
        emit Closed(round, books.vault, books.registered);
    }

    /// @notice Pays what was registered to whom it was registered for; anyone may send it.
    function pay(EntitlementKind kind, uint64 number) external nonReentrant {
        (bool isDue, uint256 amount) = payableOf(kind, number);
        Entitlement storage entitlement = _entitlements[round][kind][number];
        if (entitlement.status == 0) revert NotRegistered(kind, number);
        if (entitlement.status == PAID) revert AlreadyPaid(kind, number);
        if (!isDue) revert WrongPhase(phase());
        entitlement.status = PAID;
        address beneficiary = entitlement.beneficiary;
        emit Paid(round, kind, number, beneficiary, amount);
        if (amount > 0) custody.release(beneficiary, amount);
    }

    /// @notice What `pay` pays now, and whether it is due; an amount that is not due may still change.
    function payableOf(EntitlementKind kind, uint64 number) public view returns (bool isDue, uint256 amount) {
        Entitlement memory entitlement = _entitlements[round][kind][number];
        Books memory books = _booksOf[round];
        EscapePhase now_ = phase();
        if (entitlement.status == 0 || entitlement.status == PAID || now_ < EscapePhase.PAYING) return (false, 0);
        bool isResidual = now_ == EscapePhase.RESIDUAL;
        if (kind == EntitlementKind.ACCOUNT && number <= INSURANCE_ACCOUNT) {
            return (isResidual, _juniorPay(books, uint24(number)));
        }
        if (entitlement.amount == 0) return (true, 0);
        if (entitlement.status == IN_TIME) {
            // Floor: the remainder stays in the vault, less than one micro-USDC for each who registered.
            return (true, uint256(entitlement.amount) * _least(books.vault, books.registered) / books.registered);
        }
        return (isResidual, uint256(entitlement.amount) * _lateSum(books) / books.registeredLate);
    }

    /// @dev What late ones share: nothing unless everybody who was in time is paid in full, then at most what they registered.
    function _lateSum(Books memory books) private pure returns (uint256) {
        return _least(books.vault - _least(books.vault, books.registered), books.registeredLate);
    }

    /// @dev The treasury what it is worth, the insurance all that is then left.
    function _juniorPay(Books memory books, uint24 account) private view returns (uint256) {
        uint256 left = books.vault - _least(books.vault, books.registered) - _lateSum(books);
        // Reads 0 where the treasury did not register. Payment keeps the amount.
        uint256 treasury = _least(_entitlements[round][EntitlementKind.ACCOUNT][TREASURY_ACCOUNT].amount, left);
        return account == TREASURY_ACCOUNT ? treasury : left - treasury;
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    // ── reading ────────────────────────────────────────────────────────────────────────────────────────────────────

    function phase() public view returns (EscapePhase) {
        if (frozenAt == 0) return EscapePhase.LIVE;
        if (_anchor.fixedAt == 0) return EscapePhase.RESOLVING;
        uint64 closedAt = _booksOf[round].closedAt;
        if (closedAt != 0) {
            return block.timestamp < uint256(closedAt) + lateSeconds ? EscapePhase.PAYING : EscapePhase.RESIDUAL;
        }
        if (block.timestamp < marksUntil()) return EscapePhase.MARKING;
        return block.timestamp < registrationUntil() ? EscapePhase.REGISTERING : EscapePhase.CLOSABLE;
    }

    /// @inheritdoc IEscape
    function isFrozen() external view returns (bool) {
        return frozenAt != 0;
    }

    /// @inheritdoc IEscape
    function anchor() external view returns (uint64 batchNumber, bytes32 root, bool isFixed) {
        return (_anchor.batchNumber, _anchor.root, _anchor.fixedAt != 0);
    }

    function anchorDetails() external view returns (Anchor memory) {
        return _anchor;
    }

    /// @notice Time in seconds at which marks end and registration begins; of the fixed anchor.
    function marksUntil() public view returns (uint64) {
        return _anchor.fixedAt + markSeconds;
    }

    function registrationUntil() public view returns (uint64) {
        return marksUntil() + registrationSeconds;
    }

    function currentBooks() external view returns (Books memory) {
        return _booksOf[round];
    }

    function entitlementOf(EntitlementKind kind, uint64 number) external view returns (Entitlement memory) {
        return _entitlements[round][kind][number];
    }

    /// @notice Whether a payment beyond the anchor was shown.
    function isShown(uint32 withdrawalNumber) external view returns (bool) {
        return _isShown[round][withdrawalNumber];
    }

    function closingMark(uint24 instrument) external view returns (bool isSet, uint256 mark) {
        return _marksOf[round].get(instrument);
    }

    /// @notice What was shown as paid to an account beyond the anchor and not yet set against what it registers.
    function paidBeyondAnchor(uint24 account) external view returns (uint256) {
        return _paidBeyond[round][account];
    }
}
